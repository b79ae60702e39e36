package mcp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// full is the configuration with the waiting times of production; tests with it run in a bubble.
func full(c *mcp.Config) { c.WaitFor = 0 }

// bubble runs f with fake time and a client over pipes.
func bubble(t *testing.T, modern bool, caps string, f func(t *testing.T, w *world, c *client)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, full)
		f(t, w, w.connect("stdio", modern, caps))
	})
}

// async calls in the background.
func async(c *client, tool string, more ...string) <-chan answer {
	out := make(chan answer, 1)
	go func() { out <- c.call(tool, `{}`, more...) }()
	return out
}

// took is how long f takes in fake time.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// TestAcceptWaitsAndGoesOn: "accept" is consent to open. The retry waits, and
// when the person is done the same call answers with data.
func TestAcceptWaitsAndGoesOn(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		retry := async(c, "test_read", retryWith(state, "accept"))
		time.Sleep(20 * time.Second)
		select {
		case a := <-retry:
			t.Fatalf("it did not wait: %s", a.raw)
		default:
		}
		w.vault.put("google", vault.TicketDone)
		isData(t, <-retry, "1000")
	})
}

// TestRetryLater: after 25 s the client is asked to come again, nobody is asked
// anything; at most twice, then it is told.
func TestRetryLater(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		for round, action := range []string{"accept", ""} {
			var a answer
			if d := took(func() { a = c.call("test_read", `{}`, retryWith(state, action)) }); d != 25*time.Second {
				t.Errorf("round %d took %v", round, d)
			}
			r := a.tool(t)
			if r.ResultType != "input_required" || len(r.InputRequests) != 0 || r.RequestState == "" || r.RequestState == state {
				t.Fatalf("round %d: want retry later, got %s", round, a.raw)
			}
			state = r.RequestState
		}
		isText(t, c.call("test_read", `{}`, retryWith(state, "")), "Still waiting")
		if n := w.vault.ticketCount(); n != 1 {
			t.Errorf("%d tickets", n)
		}
		w.vault.put("google", vault.TicketDone)
		isData(t, c.call("test_read", `{}`), "1000") // without a state, too
	})
}

// TestMissingAnswer: a retry with the state and without an answer gets the link again.
func TestMissingAnswer(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, _ *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		isInputRequired(t, c.call("test_read", `{}`, retryWith(state, "")))
	})
}

// TestDecline is R14: no new dialog for two minutes, and the person's own way is named.
func TestDecline(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		text := isText(t, c.call("test_read", `{}`, retryWith(state, "decline")), publicURL+"/connections")
		if !strings.Contains(text, "grantry connect google") {
			t.Errorf("no own way: %q", text)
		}
		again := isText(t, c.call("test_read", `{}`), "declined google lately, or closed its dialog")
		if !strings.Contains(again, "grantry connect google") || !strings.Contains(again, publicURL+"/connections") {
			t.Errorf("no own way: %q", again)
		}
		if n := w.vault.ticketCount(); n != 1 {
			t.Errorf("%d tickets", n)
		}
		time.Sleep(2*time.Minute + time.Second)
		isInputRequired(t, c.call("test_read", `{}`))
	})
}

// TestCancel: a dialog that was closed keeps quiet for 30 seconds.
func TestCancel(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, _ *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		isText(t, c.call("test_read", `{}`, retryWith(state, "cancel")), "30 seconds")
		isText(t, c.call("test_read", `{}`), "no new dialog")
		time.Sleep(31 * time.Second)
		isInputRequired(t, c.call("test_read", `{}`))
	})
}

// TestDeclinedOnThePage: a call that waits learns that the person said no.
func TestDeclinedOnThePage(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		retry := async(c, "test_read", retryWith(state, "accept"))
		time.Sleep(time.Second)
		w.vault.put("google", vault.TicketDeclined)
		isText(t, <-retry, "declined")
	})
}

// TestParallel: of calls that run at the same time one shows the link, the
// others wait and go on when the person is done.
func TestParallel(t *testing.T) {
	for _, row := range []struct {
		modern bool
		caps   string
		is     func(*testing.T, answer)
	}{
		{true, capURL, func(t *testing.T, a answer) { t.Helper(); isInputRequired(t, a) }},
		{false, capURL, func(t *testing.T, a answer) { t.Helper(); isURLRequired(t, a) }},
		{false, capNone, func(t *testing.T, a answer) { t.Helper(); isLink(t, a) }},
	} {
		t.Run(fmt.Sprintf("modern=%v %s", row.modern, row.caps), func(t *testing.T) {
			bubble(t, row.modern, row.caps, func(t *testing.T, w *world, c *client) {
				first, others := parallel(c, 10)
				row.is(t, <-first)
				synctest.Wait()
				if n := len(others); n != 0 {
					t.Fatalf("%d others answered at once", n)
				}
				row.is(t, c.call("test_read", `{}`)) // one that starts now gets the same link at once
				w.vault.put("google", vault.TicketDone)
				for range 9 {
					isData(t, <-others, "1000")
				}
			})
		})
	}
}

// parallel makes n calls at once; the first answer and the others come apart.
func parallel(c *client, n int) (first, others chan answer) {
	first, others = make(chan answer, 1), make(chan answer, n)
	var once sync.Once
	for range n {
		go func() {
			a := c.call("test_read", `{}`)
			out := others
			once.Do(func() { out = first })
			out <- a
		}()
	}
	return first, others
}

// TestParallelTimeout: those that waited give the same link after 25 s.
func TestParallelTimeout(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		first, others := parallel(c, 5)
		want := isInputRequired(t, <-first).InputRequests["consent"].Params.URL
		d := took(func() {
			for range 4 {
				if got := isInputRequired(t, <-others).InputRequests["consent"].Params.URL; got != want {
					t.Errorf("another link: %s", got)
				}
			}
		})
		if d < 24*time.Second || d > 26*time.Second {
			t.Errorf("they waited %v", d)
		}
		if n := w.vault.ticketCount(); n != 1 {
			t.Errorf("%d tickets", n)
		}
	})
}

// TestStarted: in the 2025 era and in text, a call whose person has pressed
// Allow waits; then it says so, and never shows the same link again.
func TestStarted(t *testing.T) {
	for _, caps := range []string{capURL, capNone} {
		t.Run(caps, func(t *testing.T) {
			bubble(t, false, caps, func(t *testing.T, w *world, c *client) {
				c.call("test_read", `{}`)
				w.vault.put("google", vault.TicketStarted)
				d := took(func() { isText(t, c.call("test_read", `{}`), "Still pending") })
				if d != 25*time.Second {
					t.Errorf("it waited %v", d)
				}
				next := async(c, "test_read")
				time.Sleep(10 * time.Second)
				w.vault.put("google", vault.TicketDone)
				isData(t, <-next, "1000")
			})
		})
	}
}

// TestComplete: the 2025-era session that got the link is told, once, when the person is done.
func TestComplete(t *testing.T) {
	for _, transport := range []string{"stdio", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.connect(transport, false, capURL)
			id := isURLRequired(t, c.call("test_read", `{}`)).ElicitationID
			isURLRequired(t, c.call("test_read", `{}`))
			if transport == "http" {
				c.stream()
			}
			w.vault.put("google", vault.TicketDone)
			n := <-c.notes
			if n.Method != "notifications/elicitation/complete" || string(n.Params) != fmt.Sprintf(`{"elicitationId":%q}`, id) {
				t.Errorf("got %s", n.raw)
			}
			isData(t, c.call("test_read", `{}`), who(transport).Subject)
			if len(c.notes) != 0 {
				t.Errorf("told twice: %s", (<-c.notes).raw)
			}
		})
	}
}

// TestNoCompleteInModern: the notification is gone from 2026-07-28.
func TestNoCompleteInModern(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		isInputRequired(t, c.call("test_read", `{}`))
		w.vault.put("google", vault.TicketDone)
		synctest.Wait()
		if len(c.notes) != 0 {
			t.Errorf("got %s", (<-c.notes).raw)
		}
	})
}

// TestManyWait: with 50 calls waiting a list is answered and another tool runs;
// of more than 64 the rest gets the link at once.
func TestManyWait(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		w.vault.give(local, "slack", "chat:write")
		first, others := parallel(c, 51)
		isInputRequired(t, <-first)
		synctest.Wait()
		d := took(func() {
			if a := c.request("tools/list", "", `{}`); a.Error != nil {
				t.Errorf("tools/list: %s", a.raw)
			}
			isData(t, c.call("slack_read", `{}`), "1000")
		})
		if d != 0 || len(others) != 0 {
			t.Errorf("it took %v with %d answers", d, len(others))
		}
		more, rest := parallel(c, 30)
		isInputRequired(t, <-more) // began after the link: at once
		for range 29 {
			isInputRequired(t, <-rest)
		}
		w.vault.put("google", vault.TicketDone)
		for range 50 {
			isData(t, <-others, "1000")
		}
	})
}

// TestNoRoomToWait: at most 64 calls wait, the next get the link at once.
func TestNoRoomToWait(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		first, others := parallel(c, 80)
		d := took(func() {
			isInputRequired(t, <-first)
			for range 15 { // 80 less the first and 64 that wait
				isInputRequired(t, <-others)
			}
		})
		if d > time.Second {
			t.Errorf("it took %v", d)
		}
		w.vault.put("google", vault.TicketDone)
		for range 64 {
			isData(t, <-others, "1000")
		}
	})
}

// TestCancelledWaiting: a call that its client gives up stops waiting, and gets no answer.
func TestCancelledWaiting(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, _ *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		before := c.next
		retry := async(c, "test_read", retryWith(state, "accept"))
		synctest.Wait()
		c.note(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, before+1))
		time.Sleep(time.Minute)
		select {
		case a := <-retry:
			t.Errorf("answered: %s", a.raw)
		default:
		}
		c.abandon(fmt.Sprint(before + 1))
	})
}

// TestDeclineBesideOthers is R14: calls that waited beside the one whose dialog
// was declined show no dialog of their own afterwards.
func TestDeclineBesideOthers(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, _ *world, c *client) {
		first, others := parallel(c, 4)
		state := isInputRequired(t, <-first).RequestState
		isText(t, c.call("test_read", `{}`, retryWith(state, "decline")), "declined")
		for range 3 {
			isText(t, <-others, "declined google lately, or closed its dialog")
		}
	})
}
