// Command example lists what is on alice's calendar, by package client and the
// sandbox: `grantry serve --sandbox` prints all that it needs.
//
//	GRANTRY_URL=http://127.0.0.1:8787 SANDBOX=http://127.0.0.1:8788 CONTROL=… WORKLOAD_SECRET=… go run ./vault/client/example
//
// When alice has connected no account yet, it shows the link and waits until she has.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/grantry/grantry/vault/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env func(string) string, out io.Writer) error {
	grantry, sandbox := env("GRANTRY_URL"), env("SANDBOX")
	c, err := client.New(client.Config{BaseURL: grantry, ClientID: "sandbox-app", Secret: client.Fixed(env("WORKLOAD_SECRET"))})
	if err != nil {
		return err
	}
	api, err := url.Parse(sandbox)
	if err != nil {
		return err
	}
	subject, err := signIn(ctx, sandbox, env("CONTROL"), grantry)
	if err != nil {
		return err
	}
	calendar := c.TokenSource(subject, "google", client.Options{
		Scopes: []string{"https://www.googleapis.com/auth/calendar.events.readonly"},
		Hosts:  []string{api.Host}, // of the real Google: "www.googleapis.com"
	})
	for told := ""; ; {
		err := events(ctx, calendar.Client(), sandbox, out)
		var needed *client.ConsentRequired
		if !errors.As(err, &needed) {
			return err
		}
		if needed.URI != told {
			fmt.Fprintf(out, "alice has to do something first (%s): %s\n", needed.Reason, needed.URI)
			told = needed.URI
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

// signIn stands for the application's own sign-in: the sandbox's control API gives a token of alice's,
// addressed to Grantry.
func signIn(ctx context.Context, sandbox, control, grantry string) (client.Subject, error) {
	body, err := json.Marshal(map[string]string{"user": "alice", "client_id": "sandbox-app", "audience": grantry + "/"})
	if err != nil {
		return client.Subject{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sandbox+"/control/token", bytes.NewReader(body))
	if err != nil {
		return client.Subject{}, err
	}
	req.Header.Set("Authorization", "Bearer "+control)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := ask(http.DefaultClient, req, &answer); err != nil {
		return client.Subject{}, fmt.Errorf("signing alice in: %w", err)
	}
	return client.AccessToken(answer.Token), nil
}

// events prints the titles of the first events.
func events(ctx context.Context, c *http.Client, sandbox string, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, sandbox+"/google/calendar/v3/calendars/primary/events?maxResults=5", nil)
	if err != nil {
		return err
	}
	var answer struct {
		Items []struct{ Summary string }
	}
	if err := ask(c, req, &answer); err != nil {
		return fmt.Errorf("listing events: %w", err)
	}
	for _, e := range answer.Items {
		fmt.Fprintln(out, e.Summary)
	}
	return nil
}

func ask[T any](c *http.Client, req *http.Request, into *T) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", req.URL.Path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
