package config

import "path/filepath"

// userConfigDir is ~/Library/Application Support; "" = there is no home.
func userConfigDir(_ func(string) string, home string) string {
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, "Library", "Application Support")
}

// userDataDir is $XDG_DATA_HOME, or ~/Library/Application Support; "" = there is no home.
func userDataDir(env func(string) string, home string) string {
	if set := env("XDG_DATA_HOME"); filepath.IsAbs(set) {
		return set
	}
	return userConfigDir(env, home)
}
