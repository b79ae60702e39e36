package config

import "path/filepath"

// userConfigDir is %AppData%; "" = there is none.
func userConfigDir(env func(string) string, _ string) string {
	if dir := env("AppData"); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// userDataDir is %LocalAppData%; "" = there is none.
func userDataDir(env func(string) string, _ string) string {
	if dir := env("LocalAppData"); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}
