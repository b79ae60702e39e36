package sqlstore

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrNoSpace says that the disk of a database file is nearly full. What is
	// stored is whole.
	ErrNoSpace = errors.New("disk is nearly full")
	// ErrNotVault says that the database holds something else, or that the file is none.
	ErrNotVault = errors.New("database is not a Grantry vault")
	// ErrURL says that a PostgreSQL URL does not parse. What is wrong with it is
	// not told, because it holds a password.
	ErrURL = errors.New("not a PostgreSQL URL")
	// ErrText says that a text to be stored is not UTF-8 or holds a NUL, which
	// PostgreSQL does not take, and SQLite is not given either.
	ErrText = errors.New("text cannot be stored")
	// ErrOutcome says that the connection was lost during a commit and that the
	// server could not be asked what became of it.
	ErrOutcome = errors.New("outcome of a commit is not known")
	// ErrCorrupt says that SQLite's quick_check found damage. Nothing was written.
	ErrCorrupt = errors.New("database is damaged")
)

// SchemaError says that the database was written by a newer Grantry. Nothing was
// changed.
type SchemaError struct {
	// Have is the database's schema version, Known the newest of this program.
	Have, Known int64
}

// Error names both versions.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("database has schema %d, this program knows up to %d", e.Have, e.Known)
}

// PermissionError says that others than the owner can reach the vault's files.
type PermissionError struct {
	// Path is the file or folder.
	Path string
	// Mode holds the permission bits that were found; files must be 0600, and
	// the folder must not be writable by others.
	Mode fs.FileMode
}

// Error names the path and its mode.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s has mode %04o, others than its owner can use it", e.Path, e.Mode.Perm())
}

// SettingError says that the database does not have a setting that the vault's
// promises rest on.
type SettingError struct {
	// Name is the pragma or the server's setting; Got and Want are its values as
	// the database prints them.
	Name, Got, Want string
}

// Error names the setting and both values.
func (e *SettingError) Error() string {
	return fmt.Sprintf("database setting %s is %s, want %s", e.Name, e.Got, e.Want)
}
