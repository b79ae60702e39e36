package client_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/grantry/grantry/vault/client"
)

// vendorAndGrantry stand for the two servers of the examples: alice is connected, bob is not.
func vendorAndGrantry() (vendor, grantry *httptest.Server) {
	vendor = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer at-the-vendor" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "Standup, Lunch with Bob")
	}))
	grantry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("subject_token") == "alices-token" {
			reply(w, http.StatusOK, map[string]any{"access_token": "at-the-vendor", "token_type": "Bearer", "expires_in": 3570, "scope": "calendar.readonly"})
			return
		}
		reply(w, http.StatusBadRequest, map[string]any{
			"error": "consent_required", "error_reason": "not_connected", "consent_uri": "https://grantry.example.com/consent/Zm9v",
		})
	}))
	return vendor, grantry
}

// One client serves all users. Each has a source of their own, which is cheap to make for every request.
func Example() {
	vendor, grantry := vendorAndGrantry()
	defer vendor.Close()
	defer grantry.Close()
	c, err := client.New(client.Config{BaseURL: grantry.URL, ClientID: "calendar-app", Secret: client.Fixed("the-secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []string{"alices-token", "bobs-token"} {
		source := c.TokenSource(client.AccessToken(token), "google", client.Options{Hosts: []string{strings.TrimPrefix(vendor.URL, "http://")}})
		resp, err := source.Client().Get(vendor.URL + "/events")
		var needed *client.ConsentRequired
		switch {
		case errors.As(err, &needed):
			fmt.Println(needed.Reason, "- open", needed.URI)
			continue
		case err != nil:
			fmt.Println(err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Print(string(text))
	}
	// Output:
	// Standup, Lunch with Bob
	// not_connected - open https://grantry.example.com/consent/Zm9v
}

// A token by itself, for a vendor's own client library.
func ExampleSource_Token() {
	vendor, grantry := vendorAndGrantry()
	defer vendor.Close()
	defer grantry.Close()
	c, err := client.New(client.Config{BaseURL: grantry.URL, ClientID: "calendar-app", Secret: client.Fixed("the-secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := c.TokenSource(client.AccessToken("alices-token"), "google", client.Options{}).Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Access, token.Scopes)
	fmt.Println(len(token.Access.Reveal()), "characters")
	// Output:
	// [redacted] [calendar.readonly]
	// 13 characters
}

// With a key there is no secret to keep, and work for users who are not there can be signed for.
func ExampleSigner() {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	sign, err := client.Signer(key, "2026-11")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := client.New(client.Config{BaseURL: "https://grantry.example.com", ClientID: "nightly", Sign: sign})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice := client.Unattended("https://login.example.com", "00u1alice", "the nightly report")
	fmt.Println(c.TokenSource(alice, "google", client.Options{}))
	// Output: tokens of one user at google, from client nightly of https://grantry.example.com
}
