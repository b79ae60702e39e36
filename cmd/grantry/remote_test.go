package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

var vendorPattern = regexp.MustCompile(`^  (http://\S+/google/\S+)$`)

// script runs a command that reads what a person types, and gives its lines.
type script struct {
	typed     *io.PipeWriter
	out, said chan string // stdout and stderr, line by line
	code      chan int
}

func (g terminal) start(t *testing.T, command ...string) *script {
	t.Helper()
	in, typed := io.Pipe()
	out, toOut := io.Pipe()
	problems, toErr := io.Pipe()
	s := &script{typed: typed, out: lines(out), said: lines(problems), code: make(chan int, 1)}
	go func() {
		s.code <- run(t.Context(), g.args(command...), streams{in: in, out: toOut, err: toErr})
		toOut.Close()
		toErr.Close()
	}()
	t.Cleanup(func() { typed.Close() })
	return s
}

// lines are what r gives, whether somebody waits for it or not.
func lines(r io.Reader) chan string {
	all := make(chan string, 256)
	go func() {
		defer close(all)
		for in := bufio.NewScanner(r); in.Scan(); {
			all <- in.Text()
		}
	}()
	return all
}

// next answers the group of the first line from now on that fits.
func next(t *testing.T, from chan string, want *regexp.Regexp) string {
	t.Helper()
	var before []string
	for deadline := time.After(time.Minute); ; {
		select {
		case line, more := <-from:
			if found := want.FindStringSubmatch(line); found != nil {
				return found[len(found)-1]
			}
			if before = append(before, line); !more {
				t.Fatalf("no line like %s in %q", want, before)
			}
		case <-deadline:
			t.Fatalf("no line like %s after %q", want, before)
		}
	}
}

func (s *script) until(t *testing.T, want *regexp.Regexp) string {
	t.Helper()
	return next(t, s.out, want)
}

func (s *script) complains(t *testing.T, want string) {
	t.Helper()
	next(t, s.said, regexp.MustCompile(regexp.QuoteMeta(want)))
}

func (s *script) types(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(s.typed, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// TestConnectFromAnotherMachine is a person whose browser cannot reach the pages: the terminal
// begins the visit and takes the address that the browser could not open.
func TestConnectFromAnotherMachine(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, "").start(t, "connect", "google", "--no-browser")
	s.until(t, linkPattern)
	if got := s.until(t, regexp.MustCompile(`^  ssh -L (.*)$`)); !regexp.MustCompile(`^\d+:127\.0\.0\.1:\d+ \S+$`).MatchString(got) {
		t.Errorf("the tunnel is ssh -L %s", got)
	}
	s.types(t, "http://elsewhere.example/callback/google?code=x")
	s.complains(t, "not the address")
	s.types(t, "")
	foreign := backFrom(t, s.until(t, vendorPattern))
	s.types(t, "")
	back := backFrom(t, s.until(t, vendorPattern))

	s.types(t, foreign) // the second Enter made the first visit void
	s.complains(t, "another attempt")
	s.types(t, withState(t, back, "made-up"))
	s.complains(t, "another attempt")
	s.types(t, back)
	s.until(t, regexp.MustCompile(`^Connected alice@example\.com at google\.$`))
	if code := <-s.code; code != 0 {
		t.Errorf("connect ended with %d", code)
	}
}

// TestConnectFromAnotherMachineDeclined ends with the exit code of a person who is needed.
func TestConnectFromAnotherMachineDeclined(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, "").start(t, "connect", "google", "--no-browser")
	s.types(t, "")
	q, err := url.Parse(s.until(t, vendorPattern))
	if err != nil {
		t.Fatal(err)
	}
	s.types(t, fmt.Sprintf("%s?error=access_denied&state=%s", q.Query().Get("redirect_uri"), url.QueryEscape(q.Query().Get("state"))))
	for line := range s.out {
		if strings.Contains(line, "Connected") {
			t.Error("a declined visit connected something")
		}
	}
	if code := <-s.code; code != exitPerson {
		t.Errorf("connect ended with %d, want %d", code, exitPerson)
	}
}

// backFrom consents at the vendor as alice, and answers where the vendor sends her browser.
func backFrom(t *testing.T, vendor string) string {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(vendor, url.Values{"user": {"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the vendor answers %s: %v", resp.Status, err)
	}
	return to.String()
}

func withState(t *testing.T, back, state string) string {
	t.Helper()
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("state", state)
	u.RawQuery = q.Encode()
	return u.String()
}
