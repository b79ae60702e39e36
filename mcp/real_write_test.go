package mcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools/chat"
	"github.com/grantry/grantry/tools/crm"
	"github.com/grantry/grantry/vault"
)

// write calls chat_post_message; more is added to the arguments.
func write(c *client, text string, more ...string) answer {
	return c.call("chat_post_message", fmt.Sprintf(`{"channel":"general","text":%q%s}`, text, strings.Join(append([]string{""}, more...), ",")))
}

// newSlack is a server on a real vault with the sandbox's Slack, which counts what is posted.
func newSlack(t *testing.T) *real {
	t.Helper()
	return newRealWith(t, chat.Tools(), "slack")
}

func (r *real) posted(want int64) {
	r.t.Helper()
	if got := r.messages.Load(); got != want {
		r.t.Errorf("%d messages were posted, want %d", got, want)
	}
}

func linkIn(t *testing.T, a answer) string {
	t.Helper()
	var meta struct{ URL string }
	if err := json.Unmarshal(a.tool(t).Meta["io.github.grantry/consent"], &meta); err != nil || meta.URL == "" {
		t.Fatalf("no link: %s", a.raw)
	}
	return meta.URL
}

// TestR79RealWrite: one visit connects, opens and approves; then one message goes out, whatever is called afterwards.
func TestR79RealWrite(t *testing.T) {
	t.Parallel()
	r := newSlack(t)
	c := r.connect("stdio", false, capNone)
	first := write(c, "one")
	alone := fmt.Sprintf(`{"approval":%q}`, idIn(t, first))
	isText(t, write(c, "one", fmt.Sprintf(`"approval":%q`, idIn(t, first))), "show this link unchanged")
	r.consent(t, linkIn(t, first))
	r.posted(0)
	isText(t, write(c, "two", fmt.Sprintf(`"approval":%q`, idIn(t, first))), "not those that the person approved")
	if a := write(c, "two"); idIn(t, a) == idIn(t, first) {
		t.Error("another message is under the same approval")
	}
	r.posted(0)
	if a := c.call("chat_post_message", alone); a.tool(t).IsError {
		t.Fatalf("the approved call: %s", a.raw)
	}
	isText(t, c.call("chat_post_message", alone), "already ran at")
	isText(t, write(c, "one"), "show this link unchanged")
	r.posted(1)
	r.audited(t, "approval.asked", "approval.ran", "tool.called")
}

// audited fails the test unless the chain verifies, has entries of these kinds, and no word of what was written.
func (r *real) audited(t *testing.T, kinds ...string) {
	t.Helper()
	seen := map[string]bool{}
	for e, err := range r.v.AuditLog(t.Context(), vault.AuditQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Kind] = true
		if raw, err := json.Marshal(e); err != nil || strings.Contains(string(raw), `"one"`) {
			t.Errorf("entry %s, %v", raw, err)
		}
	}
	for _, k := range kinds {
		if !seen[k] {
			t.Errorf("no entry %s among %v", k, seen)
		}
	}
	if _, err := r.v.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of calls that wait for one yes, one runs.
func TestR79OneYesOneMessage(t *testing.T) {
	t.Parallel()
	r := newSlack(t)
	c := r.connect("http", true, capURL)
	r.person = alice
	first := isInputRequiredAt(t, write(c, "one"))
	r.consent(t, first.InputRequests["consent"].Params.URL)
	const calls = 8
	out := make(chan answer, calls)
	for range calls {
		go func() {
			out <- c.call("chat_post_message", `{"channel":"general","text":"one"}`, retryWith(first.RequestState, "accept"))
		}()
	}
	ran := 0
	for range calls {
		if a := (<-out).tool(t); !a.IsError {
			ran++
		} else if !strings.Contains(a.text(), "already ran at") {
			t.Errorf("another said %q", a.text())
		}
	}
	if ran != 1 {
		t.Errorf("%d calls ran", ran)
	}
	r.posted(1)
}

func isInputRequiredAt(t *testing.T, a answer) toolResult {
	t.Helper()
	r := a.tool(t)
	if r.ResultType != "input_required" || r.InputRequests["consent"].Params.Mode != "url" {
		t.Fatalf("want a URL elicitation, got %s", a.raw)
	}
	return r
}

// In the client's dialog: a yes for an hour lets further messages of this agent go, one to a call only that one.
func TestRealForm(t *testing.T) {
	t.Parallel()
	r := newSlack(t)
	c := r.connect("stdio", false, capForm)
	said := []string{"once", "hour"}
	r.consent(t, linkIn(t, c.call("connections_connect", `{"connection":"slack"}`)))
	asked := 0
	c.dialog = func(json.RawMessage) string {
		asked++
		return `"result":{"action":"accept","content":{"decision":"` + said[asked-1] + `"}}`
	}
	for i, wantAsked := range []int{1, 2, 2, 2} {
		if a := write(c, fmt.Sprintf("message %d", i)); a.tool(t).IsError {
			t.Fatalf("message %d: %s", i, a.raw)
		}
		r.posted(int64(i + 1))
		if asked != wantAsked {
			t.Errorf("message %d: the person was asked %d times, want %d", i, asked, wantAsked)
		}
	}
}

// An update is shown with what is there now, and what was shown is what happens.
func TestRealPreview(t *testing.T) {
	t.Parallel()
	r := newRealWith(t, crm.Tools(), "salesforce")
	c := r.connect("stdio", true, capNone)
	r.consent(t, linkIn(t, c.call("connections_connect", `{"connection":"salesforce"}`)))
	a := c.call("crm_update_record", `{"object":"Opportunity","id":"006Qy0000000001IAX","fields":{"StageName":"Closed Won","Amount":144000}}`)
	shown, err := r.v.Approval(t.Context(), r.person.Caller, idIn(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]vault.Change{{Field: "StageName", Was: "Negotiation/Review", Becomes: "Closed Won"}}, shown.Changes); diff != "" {
		t.Error(diff)
	}
	isText(t, c.call("crm_update_record", `{"object":"Opportunity","id":"006Qy0000000099IAX","fields":{"StageName":"x"}}`), "has nothing of that name")
	r.consent(t, linkIn(t, a))
	if done := c.call("crm_update_record", fmt.Sprintf(`{"approval":%q}`, idIn(t, a))); done.tool(t).IsError {
		t.Fatalf("the update: %s", done.raw)
	}
	read := c.call("crm_query", `{"query":"SELECT StageName FROM Opportunity WHERE Id = '006Qy0000000001IAX'"}`)
	if !strings.Contains(read.tool(t).text(), `"StageName":"Closed Won"`) {
		t.Errorf("it is %s", read.raw)
	}
}

// A record that changes between the yes and the call is not overwritten: the call
// writes nothing, the approval is over, and the next call asks with what is there now.
func TestChangedSinceApproved(t *testing.T) {
	t.Parallel()
	const record = `"object":"Opportunity","id":"006Qy0000000001IAX"`
	for name, again := range map[string]func(id string) string{
		"by its id":          func(id string) string { return fmt.Sprintf(`{"approval":%q}`, id) },
		"with its arguments": func(string) string { return `{` + record + `,"fields":{"Amount":150000}}` },
	} {
		r := newRealWith(t, crm.Tools(), "salesforce")
		c := r.connect("stdio", true, capNone)
		r.consent(t, linkIn(t, c.call("connections_connect", `{"connection":"salesforce"}`)))
		update := func(fields string) answer {
			return c.call("crm_update_record", `{`+record+`,"fields":{`+fields+`}}`)
		}
		a := update(`"Amount":150000`)
		r.consent(t, linkIn(t, a))
		between := update(`"Amount":7`) // somebody else's change, as far as the first call knows
		r.consent(t, linkIn(t, between))
		if done := update(`"Amount":7`); done.tool(t).IsError {
			t.Fatalf("%s: the change between: %s", name, done.raw)
		}
		isText(t, c.call("crm_update_record", again(idIn(t, a))), "nothing was written")
		r.amount(t, c, "7")
		isText(t, c.call("crm_update_record", fmt.Sprintf(`{"approval":%q}`, idIn(t, a))), "no longer fits what is there")
		fresh := update(`"Amount":150000`)
		shown, err := r.v.Approval(t.Context(), r.person.Caller, idIn(t, fresh))
		if diff := cmp.Diff([]vault.Change{{Field: "Amount", Was: "7", Becomes: "150000"}}, shown.Changes); diff != "" || err != nil {
			t.Errorf("%s: the new question: %v %s", name, err, diff)
		}
		r.consent(t, linkIn(t, fresh))
		if done := update(`"Amount":150000`); done.tool(t).IsError {
			t.Errorf("%s: the call that was seen: %s", name, done.raw)
		}
		r.amount(t, c, "150000")
		r.audited(t, "approval.ended", "approval.ran")
	}
}

func (r *real) amount(t *testing.T, c *client, want string) {
	t.Helper()
	read := c.call("crm_query", `{"query":"SELECT Amount FROM Opportunity WHERE Id = '006Qy0000000001IAX'"}`)
	if !strings.Contains(read.tool(t).text(), `"Amount":`+want+`,`) {
		t.Errorf("it is %s, want %s", read.raw, want)
	}
}

// Access for one call is the write's own: what was read for the question about it did not use it up.
func TestPreviewLeavesOnce(t *testing.T) {
	t.Parallel()
	r := newRealWith(t, crm.Tools(), "salesforce")
	first := r.connect("stdio", true, capNone)
	r.consent(t, linkIn(t, first.call("connections_connect", `{"connection":"salesforce"}`)))
	list, err := r.v.AccessList(t.Context(), r.person.Caller)
	if err != nil || len(list) != 1 {
		t.Fatalf("access %+v, %v", list, err)
	}
	if err := r.v.RevokeAccess(t.Context(), r.person.Caller, list[0].ID); err != nil {
		t.Fatal(err)
	}
	update := func() answer {
		return first.call("crm_update_record", `{"object":"Opportunity","id":"006Qy0000000001IAX","fields":{"Amount":150000}}`)
	}
	r.once(t, linkIn(t, first.call("crm_query", `{"query":"SELECT Id FROM Opportunity"}`)))
	for range 2 { // the question is asked twice, and looks twice
		isText(t, update(), "would change something")
	}
	r.consent(t, linkIn(t, update()))
	if done := update(); done.tool(t).IsError {
		t.Fatalf("the update: %s", done.raw)
	}
	if a := update(); !strings.Contains(string(a.raw), "not yet opened to this agent") {
		t.Errorf("once was for one call, then: %s", a.raw)
	}
}

// once answers a link that lacks access alone for one call.
func (r *real) once(t *testing.T, link string) {
	t.Helper()
	s, err := r.v.Allow(t.Context(), vault.Answer{Handle: strings.TrimPrefix(link, publicURL+"/consent/"), Person: r.person, Once: true})
	if err != nil || s.AuthURL != "" {
		t.Fatalf("allowing once: %+v, %v", s, err)
	}
}

// counting counts the messages that Slack is asked to post.
func (r *real) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/chat.postMessage") {
			r.messages.Add(1)
		}
		next.ServeHTTP(w, q)
	})
}

// The kill switch ends a write that is under way at the vendor, on this transport and that, within seconds:
// it is said, and written down, that it may have happened.
func TestStopWhileAWriteRuns(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"stopped", "access_revoked"} {
		r := newSlack(t)
		c := r.connect("stdio", false, capNone)
		a := write(c, "one")
		r.consent(t, linkIn(t, a))
		r.delay(t, "slack", time.Minute)
		call := make(chan answer, 1)
		began := time.Now()
		go func() { call <- c.call("chat_post_message", fmt.Sprintf(`{"approval":%q}`, idIn(t, a))) }()
		for r.messages.Load() == 0 && time.Since(began) < 10*time.Second {
			time.Sleep(10 * time.Millisecond)
		}
		began = time.Now()
		says := r.takeAway(t, end)
		got := <-call
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it went on for %v", end, took)
		}
		isText(t, got, says)
		isText(t, got, "may have happened")
		r.wasStopped(t, end, idIn(t, a))
		if end == "stopped" {
			isText(t, write(c, "two"), publicURL+"/agents")
		}
	}
}

// takeAway ends what the only agent may do, and answers what its call is told.
func (r *real) takeAway(t *testing.T, how string) (says string) {
	t.Helper()
	list, err := r.v.AccessList(t.Context(), r.person.Caller)
	if err != nil || len(list) != 1 {
		t.Fatalf("access %+v, %v", list, err)
	}
	if how == "access_revoked" {
		err, says = r.v.RevokeAccess(t.Context(), r.person.Caller, list[0].ID), "taken away the access"
	} else {
		_, err = r.v.Stop(t.Context(), r.person.Caller, vault.StopScope{Agent: r.v.AgentKey(list[0].Agent)})
		says = "The person has stopped this agent"
	}
	if err != nil {
		t.Fatal(err)
	}
	return says
}

func (r *real) wasStopped(t *testing.T, reason, approval string) {
	t.Helper()
	var last vault.AuditEntry
	for e, err := range r.v.AuditLog(t.Context(), vault.AuditQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "tool.called" {
			last = e
		}
	}
	if last.Result != "stopped" || last.Reason != reason || !last.Detail.Sent || last.Detail.Approval != approval || last.Detail.Decision != "ask" {
		t.Errorf("entry %+v", last)
	}
}

// delay makes the vendor's API slow.
func (r *real) delay(t *testing.T, vendor string, d time.Duration) {
	t.Helper()
	body := fmt.Sprintf(`{"vendor":%q,"kind":"delay","delay_ms":%d,"endpoint":"api","times":1}`, vendor, d.Milliseconds())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/control/faults", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.sandbox.ControlSecret())
	resp, err := r.http.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
}
