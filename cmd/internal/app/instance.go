package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grantry/grantry/cmd/instance"
)

// instances is where the lock files of this vault's processes lie.
func (a *App) instances() instance.Folder {
	return instance.Folder(filepath.Join(a.cfg.DataDir, runFolder))
}

// holdInstance takes this process's lock file for life.
func (a *App) holdInstance() (*os.File, error) {
	f, err := a.instances().Hold(a.instance)
	var folder *instance.FolderError
	if errors.As(err, &folder) {
		return nil, &UsageError{Text: fmt.Sprintf("cannot write to the data folder %s: %v; make it yours to write, or use another with --data-dir", a.cfg.DataDir, folder.Err)}
	}
	return f, err
}

// instanceDead says whether the process of that instance is provably gone.
func (a *App) instanceDead(id string) bool {
	return id != a.instance && a.instances().Dead(id)
}
