package consent

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// SameUser is the peer check of a local vault: a request passes only if the
// socket at its other end belongs to the OS user uid. Linux names the owner of
// every TCP socket in /proc/net/tcp and tcp6. The error is ErrPeerOther, or
// ErrPeerUnknown when no socket is found (a browser in another network namespace).
func SameUser(uid int) func(r *http.Request) error {
	return func(r *http.Request) error {
		remote, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return fmt.Errorf("%w: reading remote address", ErrPeerUnknown)
		}
		local, ok := localAddr(r)
		if !ok {
			return fmt.Errorf("%w: reading local address", ErrPeerUnknown)
		}
		// The browser's socket has our addresses the other way round.
		owner, err := socketOwner(plain(remote), local)
		if err != nil {
			return err
		}
		if owner != uid {
			return ErrPeerOther
		}
		return nil
	}
}

func localAddr(r *http.Request) (netip.AddrPort, bool) {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(a.String())
	return plain(ap), err == nil
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func socketOwner(from, to netip.AddrPort) (int, error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		uid, err := findSocket(f, from, to)
		_ = f.Close()
		if err == nil {
			return uid, nil
		}
	}
	return 0, fmt.Errorf("%w: its socket is not listed", ErrPeerUnknown)
}

var errNoSocket = errors.New("socket not listed")

// findSocket reads a table of proc(5): sl, local_address, rem_address, st, queues, tr, retrnsmt, uid, …
func findSocket(table io.Reader, from, to netip.AddrPort) (int, error) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[3] != "01" { // established
			continue
		}
		local, err1 := procAddr(f[1])
		remote, err2 := procAddr(f[2])
		if err1 == nil && err2 == nil && local == from && remote == to {
			return strconv.Atoi(f[7])
		}
	}
	return 0, errNoSocket
}

// procAddr reads "0100007F:1F90": 32-bit words in the host's byte order, then the port.
func procAddr(s string) (netip.AddrPort, error) {
	addr, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(addr)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, errNoSocket
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, errNoSocket
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, errNoSocket
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(p)), nil
}
