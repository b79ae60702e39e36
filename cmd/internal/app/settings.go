package app

import "fmt"

// settings are the configuration in force as text, for the audit's hash of it.
// Where a secret is stands in it, never what it is.
func (a *App) settings() string { return fmt.Sprintf("%+v", *a.cfg) }
