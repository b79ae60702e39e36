// Package client is for applications that work for people at a vendor, with tokens
// from Grantry: the application holds no refresh token, and exchanges what proves its
// user for a token at the vendor whenever it needs one (RFC 8693, POST {public_url}/oauth/token).
//
//	c, err := client.New(client.Config{
//		BaseURL:  "https://grantry.example.com",
//		ClientID: "nightly", // a workload of Grantry's config
//		Secret:   client.Fixed(os.Getenv("NIGHTLY_SECRET")),
//	})
//	calendar := c.TokenSource(client.AccessToken(usersToken), "google", client.Options{
//		Scopes: []string{"https://www.googleapis.com/auth/calendar.readonly"},
//		Hosts:  []string{"www.googleapis.com"},
//	})
//	resp, err := calendar.Client().Get("https://www.googleapis.com/calendar/v3/calendars/primary/events")
//	var needed *client.ConsentRequired
//	if errors.As(err, &needed) {
//		// show needed.URI to the user, and try again when they are back
//	}
//
// # What holds
//
//   - A token is kept in memory, until shortly before its end, and under what proves the user: another
//     user's proof never finds it. Nothing is written anywhere.
//   - A token goes to the hosts that the application has named, or to the one that Grantry names with it, and
//     nowhere else: not behind a redirect to another origin, and never without TLS except on loopback.
//   - Whatever goes wrong says so in its own way. [ConsentRequired] is what a person can mend; an outage, a
//     wrong secret or a limit is an [Error], and asks nobody for anything.
//   - Of requests that want the same token at once one asks Grantry. None waits longer than its own context says.
//   - A [Secret] prints as "[redacted]", and no error holds one.
//
// It uses the standard library alone and imports nothing of Grantry's.
package client
