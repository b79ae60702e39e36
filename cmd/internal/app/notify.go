package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault"
)

const (
	noticeQueue = 64
	noticeEnd   = 5 * time.Second // for those that wait when the program ends
)

// notifier runs the command of `notify`, one notice after the other.
type notifier struct {
	command config.Command
	dir     string
	base    func() string // of the links
	log     *slog.Logger

	queue chan vault.Notice
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

// noticeLine is what the command gets on its standard input, as one line of JSON.
type noticeLine struct {
	Event      string     `json:"event"`
	Person     string     `json:"person"`
	Connection string     `json:"connection,omitempty"`
	Account    string     `json:"account,omitempty"`
	Agent      string     `json:"agent,omitempty"`
	Reason     string     `json:"reason"`
	URL        string     `json:"url"`
	Expires    *time.Time `json:"expires_at,omitempty"`
}

func (a *App) newNotifier() *notifier {
	n := &notifier{
		command: a.cfg.Notify, dir: a.cfg.DataDir, base: a.address, log: a.log,
		queue: make(chan vault.Notice, noticeQueue), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go n.run()
	return n
}

// tell never waits: a command that hangs must not hold up a refresh.
func (n *notifier) tell(notice vault.Notice) {
	select {
	case n.queue <- notice:
	default:
		n.log.Warn("a notice was dropped: the notify command does not keep up", "event", notice.Kind)
	}
}

func (n *notifier) run() {
	defer close(n.done)
	for {
		select {
		case notice := <-n.queue:
			n.send(notice)
		case <-n.stop:
			for len(n.queue) > 0 {
				n.send(<-n.queue)
			}
			return
		}
	}
}

func (n *notifier) send(notice vault.Notice) {
	line, err := json.Marshal(n.line(notice))
	if err == nil {
		err = n.command.Run(context.Background(), n.dir, append(line, '\n'))
	}
	if err != nil {
		n.log.Warn("running the notify command", "event", notice.Kind, "error", err)
	}
}

func (n *notifier) line(v vault.Notice) noticeLine {
	l := noticeLine{
		Event: string(v.Kind), Person: v.Person.Label(), Connection: v.Connection, Account: v.Account,
		Reason: string(v.Reason), URL: n.base() + "/connections",
	}
	if v.Kind == vault.NoticeRequest {
		l.Agent, l.URL, l.Expires = v.Agent.ID, n.base()+"/consent/"+v.Handle, &v.Expires
	}
	return l
}

// Close gives the notices that wait a moment.
func (n *notifier) Close() error {
	n.once.Do(func() { close(n.stop) })
	select {
	case <-n.done:
		return nil
	case <-time.After(noticeEnd):
		return errors.New("the notify command did not end")
	}
}
