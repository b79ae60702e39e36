package main

import (
	"io"
	"io/fs"
	"os"
)

// oddInput says what standard input is, when it is not a pipe of a program on this
// machine, "" when it is one. It is a hint for the log and refuses nothing: who
// starts stdio by hand, or from afar, wonders why nothing answers or where the links lead.
func oddInput(in io.Reader, env func(string) string) string {
	f, ok := in.(*os.File)
	if !ok {
		return ""
	}
	info, err := f.Stat()
	if err != nil {
		return "it cannot be looked at"
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeCharDevice != 0:
		return "it is a terminal or a device: an MCP client starts this program and speaks to it; `grantry connect` and `grantry connections` are for people"
	case mode.IsRegular():
		return "it is a file: answers come, and whoever asked is not there any more"
	case mode&fs.ModeSocket != 0 && !socketIsLocal(f):
		return "it is a network connection: everybody who can open it is you to Grantry; use `grantry serve` for clients elsewhere"
	case env("SSH_CONNECTION") != "":
		return "the client speaks to this machine over SSH: links lead to pages on this machine, so the browser must be on it, or its port be forwarded"
	}
	return ""
}
