package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStopReachesAnotherProcess: what a person presses on the pages of one process
// ends, within five seconds, the call that another one has under way on the same
// vault. The agent is told, and the activity says, that it may have happened.
func TestStopReachesAnotherProcess(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	pages := h.serve(t)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none"}, "--agent", "writer"))
	b := newBrowser(t)
	out, errs, exit := h.run(t, "signin")
	if exit != 0 {
		t.Fatalf("signin ended with %d: %s", exit, errs)
	}
	b.open(signInLink.FindString(out))
	b.click("Sign in here")
	message := map[string]any{"channel": "launch", "text": "on its way"}
	link := c.call(t, "chat_post_message", message).link(t)
	if !strings.HasPrefix(link, pages.Base+"/") {
		t.Fatalf("the link %s is not of the process that serves the pages at %s", link, pages.Base)
	}
	b.consent(link, "alice")

	reached, once := make(chan struct{}), sync.Once{}
	v.slack.inject(fault{Path: "/chat.postMessage", Flood: func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(reached) })
		<-r.Context().Done()
	}})
	id := c.goCall(t, "chat_post_message", message)
	select {
	case <-reached:
	case <-time.After(patience):
		t.Fatalf("the call never reached the vendor:\n%s", c.output())
	}
	b.open(pages.Base + "/agents")
	b.expect(http.StatusOK, "writer")
	began := time.Now()
	b.click("Stop all agents")
	a := c.await(t, id, patience)
	within(t, began, 5*time.Second, "ending the call of the other process")
	if !a.IsError || !strings.Contains(a.Text, "stopped") || !strings.Contains(a.Text, "may have happened") {
		t.Errorf("the stopped call answered %s", a.show())
	}
	b.expect(http.StatusOK, "Everything is stopped")
	b.open(pages.Base + "/activity")
	b.expect(http.StatusOK, "may have happened")
	if again := c.call(t, "chat_post_message", message); !again.IsError || consentLink.MatchString(again.Text) {
		t.Errorf("a call after the stop answered %s", again.show())
	}
}
