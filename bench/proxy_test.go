package bench_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

// BenchmarkProxy sends the same request to the vendor with a token of its own, and by way of the proxy, by turns on one
// connection each. added-µs is the proxy's median over the direct one's: proxy token, list, vault, two audit entries, one more hop.
func BenchmarkProxy(b *testing.B) {
	w := newWorld(b)
	all := newSubjects(b)
	s, err := sts.New(sts.Config{
		Vault: w.Vault, Records: w.Records(), Connection: w.Connection, PublicURL: publicURL, Verifier: all,
		Workloads: map[string]sts.Workload{workload: {
			Secret: provider.NewSecret("the-secret-of-the-workload"), Connections: map[string][]string{"files": {"files.read"}}, Proxy: map[string][]string{"files": {"GET /userinfo"}},
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	w.let(b, s, all)
	vendor, err := provider.Bearer{Connection: w.conn}.Place("")
	if err != nil {
		b.Fatal(err)
	}
	direct := asker{to: vendor.String() + "/userinfo", token: issued(b, s, all, "")}
	proxied := asker{to: "http://" + listen(b, s.Proxy().ServeHTTP) + "/proxy/files/userinfo", token: issued(b, s, all, "urn:grantry:proxy-token")}
	var took [2][]time.Duration
	for b.Loop() {
		for i, a := range []*asker{&direct, &proxied} {
			start := time.Now()
			if err := a.ask(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	one, other := percentile(took[0], 50), percentile(took[1], 50)
	b.ReportMetric(float64(one.Microseconds()), "direct-p50-µs")
	b.ReportMetric(float64(other.Microseconds()), "proxy-p50-µs")
	b.ReportMetric(float64(percentile(took[1], 99).Microseconds()), "proxy-p99-µs")
	b.ReportMetric(float64((other - one).Microseconds()), "added-µs")
}

// issued is what an exchange of the first caller's answers.
func issued(b *testing.B, s *sts.Server, all *subjects, kind string) string {
	b.Helper()
	form := all.form(0)
	if kind != "" {
		form.Set("requested_token_type", kind)
	}
	out := httptest.NewRecorder()
	s.Exchange(out, httptest.NewRequest(http.MethodPost, sts.TokenPath, nil), form)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(out.Body.Bytes(), &answer); err != nil || answer.Token == "" {
		b.Fatalf("%v %s", err, out.Body)
	}
	return answer.Token
}

// asker sends one request again and again on a connection of its own.
type asker struct {
	to, token string
	http      http.Transport
}

func (a *asker) ask() error {
	req, err := http.NewRequest(http.MethodGet, a.to, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.http.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return errors.Join(err, errStatus)
	}
	return nil
}
