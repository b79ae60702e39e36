//go:build unix && !darwin

package config

import "path/filepath"

// userConfigDir is $XDG_CONFIG_HOME or ~/.config; "" = there is no home. A
// relative variable is ignored, as the XDG base directory specification says.
func userConfigDir(env func(string) string, home string) string {
	return xdg(env("XDG_CONFIG_HOME"), home, ".config")
}

// userDataDir is $XDG_DATA_HOME or ~/.local/share; "" = there is no home.
func userDataDir(env func(string) string, home string) string {
	return xdg(env("XDG_DATA_HOME"), home, ".local", "share")
}

func xdg(set, home string, rest ...string) string {
	switch {
	case filepath.IsAbs(set):
		return set
	case !filepath.IsAbs(home):
		return ""
	}
	return filepath.Join(append([]string{home}, rest...)...)
}
