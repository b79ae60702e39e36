package seal_test

import (
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"
)

const (
	loginPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	sessionPath = dbus.ObjectPath("/org/freedesktop/secrets/session/1")
)

// secretService is a session bus with a Secret Service behind it, such as a
// desktop has, on a socket of its own. closed is the person who closes its dialogs.
type secretService struct {
	address string
	closed  bool

	mu    sync.Mutex
	conns []*dbus.Conn
	items []secretItem
}

type secretItem struct {
	attributes map[string]string
	secret     ss.Secret
}

func newSecretService(t *testing.T, closed bool) *secretService {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &secretService{address: "unix:path=" + path, closed: closed}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := s.serve(c); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns {
			_ = c.Close()
		}
	})
	return s
}

// serve says who it is and answers calls from then on. godbus has the client's
// side of the handshake only, so the server's is here and godbus is told that
// it is over.
func (s *secretService) serve(c net.Conn) error {
	for line := ""; line != "BEGIN"; {
		var err error
		if line, err = readLine(c); err != nil {
			return err
		}
		answer := map[string]string{"AUTH": "REJECTED EXTERNAL\r\n", "AUTH EXTERNAL": "OK 00\r\n", "NEGOTIATE_UNIX_FD": "ERROR\r\n"}
		words := strings.Fields(strings.TrimPrefix(line, "\x00"))
		if _, err := io.WriteString(c, answer[strings.Join(words[:min(len(words), 2)], " ")]); err != nil {
			return err
		}
	}
	conn, err := dbus.NewConn(&handshaken{Conn: c, script: strings.NewReader("REJECTED EXTERNAL\r\nOK 00\r\n")})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	if err := s.export(conn); err != nil {
		return err
	}
	return conn.Auth([]dbus.Auth{dbus.AuthExternal("0")}) // calls are answered from here on
}

// readLine reads no byte more than the line.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(line), "\r\n"); {
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		line = append(line, b...)
	}
	return strings.TrimSuffix(string(line), "\r\n"), nil
}

// handshaken plays the other side of a client's handshake, and is the connection after it.
type handshaken struct {
	net.Conn
	script *strings.Reader
	begun  bool
}

func (h *handshaken) Read(p []byte) (int, error) {
	if h.script.Len() > 0 {
		return h.script.Read(p)
	}
	return h.Conn.Read(p)
}

func (h *handshaken) Write(p []byte) (int, error) {
	if h.begun {
		return h.Conn.Write(p)
	}
	h.begun = string(p) == "BEGIN\r\n"
	return len(p), nil
}

func (s *secretService) export(conn *dbus.Conn) error {
	const service = "/org/freedesktop/secrets"
	for _, e := range []struct {
		path    dbus.ObjectPath
		iface   string
		methods map[string]any
	}{
		{"/org/freedesktop/DBus", "org.freedesktop.DBus", map[string]any{"Hello": func() (string, *dbus.Error) { return ":1.1", nil }}},
		{service, "org.freedesktop.DBus.Properties", map[string]any{"Get": func(_, _ string) (dbus.Variant, *dbus.Error) {
			return dbus.MakeVariant([]dbus.ObjectPath{loginPath}), nil
		}}},
		{service, "org.freedesktop.Secret.Service", map[string]any{
			"OpenSession": func(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
				return dbus.MakeVariant(""), sessionPath, nil
			},
			"Unlock": func(what []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) { return what, "/", nil },
		}},
		{sessionPath, "org.freedesktop.Secret.Session", map[string]any{"Close": func() *dbus.Error { return nil }}},
		{loginPath, "org.freedesktop.Secret.Collection", map[string]any{"SearchItems": s.search, "CreateItem": s.create}},
	} {
		if err := conn.ExportMethodTable(e.methods, e.path, e.iface); err != nil {
			return err
		}
	}
	return conn.ExportSubtreeMethodTable(map[string]any{"GetSecret": s.get}, loginPath, "org.freedesktop.Secret.Item")
}

// kept answers the entries.
func (s *secretService) kept() []secretItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}

func (s *secretService) find(attributes map[string]string) int {
	for i, item := range s.items {
		if maps.Equal(item.attributes, attributes) {
			return i
		}
	}
	return -1
}

func itemPath(i int) dbus.ObjectPath { return loginPath + dbus.ObjectPath("/"+strconv.Itoa(i)) }

func (s *secretService) search(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(attributes); i >= 0 {
		return []dbus.ObjectPath{itemPath(i)}, nil
	}
	return []dbus.ObjectPath{}, nil
}

func (s *secretService) create(props map[string]dbus.Variant, secret ss.Secret, _ bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attributes, ok := props["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string)
	if !ok {
		return "/", "/", dbus.MakeFailedError(io.ErrUnexpectedEOF)
	}
	if s.closed {
		return "/", "/", nil
	}
	i := s.find(attributes)
	if i < 0 {
		i = len(s.items)
		s.items = append(s.items, secretItem{})
	}
	s.items[i] = secretItem{attributes, secret}
	return itemPath(i), "/", nil
}

func (s *secretService) get(msg dbus.Message, session dbus.ObjectPath) (ss.Secret, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _ := msg.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	for i, item := range s.items {
		if path == itemPath(i) && session == sessionPath {
			return item.secret, nil
		}
	}
	return ss.Secret{}, dbus.MakeFailedError(io.EOF)
}
