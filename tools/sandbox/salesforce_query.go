package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cursor is a query whose further pages may be fetched.
type cursor struct {
	User, Query, Version string
	Batch                int
	Expires              time.Time
}

const (
	cursorTTL  = 15 * time.Minute
	maxQuery   = 16_384 // of address and headers, in bytes; counted here for the address
	batchLeast = 200
	batchMost  = 2000
)

var (
	sfVersion = regexp.MustCompile(`^v(2\d|[3-5]\d|6[0-7])\.0$`)
	sfBatch   = regexp.MustCompile(`(?i)\bbatchSize\s*=\s*(\d+)`)
)

// sfError is Salesforce's error answer: a list with one entry.
func sfError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, []reply{{"errorCode": code, "message": message}})
}

func sfNothing(w http.ResponseWriter, _ *http.Request, _ person) {
	sfError(w, http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}

// sfAPI lets a request in whose session lives and has the scope api. A missing scope looks like this, too:
// a 401 that no refresh mends (help.salesforce.com 005226515).
func (s *Sandbox) sfAPI(next func(http.ResponseWriter, *http.Request, person)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, why := s.access(salesforce, sfBearer(r))
		switch {
		case why != accepted:
			w.Header().Set("WWW-Authenticate", "Token")
			sfError(w, http.StatusUnauthorized, "INVALID_SESSION_ID", "Session expired or invalid")
		case !slices.Contains(t.Scopes, "api") && !slices.Contains(t.Scopes, "full"):
			w.Header().Set("WWW-Authenticate", "Token")
			sfError(w, http.StatusUnauthorized, "INVALID_SESSION_ID", "This session is not valid for use with the REST API")
		case len(r.URL.RequestURI()) > maxQuery:
			http.Error(w, "URI Too Long", http.StatusRequestURITooLong)
		case r.PathValue("version") != "" && !sfVersion.MatchString(r.PathValue("version")):
			sfNothing(w, r, person{})
		default:
			p, _ := findPerson(t.User)
			w.Header().Set("Sforce-Limit-Info", "api-usage=42/15000")
			next(w, r, p)
		}
	}
}

func (s *Sandbox) sfQuery(w http.ResponseWriter, r *http.Request, p person) {
	c := cursor{User: p.name, Query: r.URL.Query().Get("q"), Version: r.PathValue("version"), Batch: batchMost}
	if m := sfBatch.FindStringSubmatch(r.Header.Get("Sforce-Query-Options")); m != nil {
		n, _ := strconv.Atoi(m[1])
		c.Batch = min(max(n, batchLeast), batchMost)
	}
	s.sfPage(w, c, "", 0)
}

// sfMore is a further page: the locator is "{cursor}-{first record}".
func (s *Sandbox) sfMore(w http.ResponseWriter, r *http.Request, p person) {
	id, at, _ := strings.Cut(r.PathValue("locator"), "-")
	from, err := strconv.Atoi(at)
	var c cursor
	s.view(func(st *state) {
		if known := st.Cursors[id]; known != nil && known.User == p.name && known.Expires.After(s.cfg.Now()) {
			c = *known
		}
	})
	if c.Query == "" || err != nil || from < 0 {
		sfError(w, http.StatusBadRequest, "INVALID_QUERY_LOCATOR", "invalid query locator")
		return
	}
	s.sfPage(w, c, id, from)
}

// sfPage evaluates the query and answers one batch of it. The id of a new cursor is "".
func (s *Sandbox) sfPage(w http.ResponseWriter, c cursor, id string, from int) {
	who, _ := findPerson(c.User)
	res, bad := soql(c.Query, s.crm(who), c.Version, s.cfg.Now())
	if bad != nil {
		sfError(w, http.StatusBadRequest, bad.code, bad.message)
		return
	}
	from = min(from, len(res.records))
	to := min(from+c.Batch, len(res.records))
	body := reply{"totalSize": res.total, "done": to == len(res.records), "records": res.records[from:to]}
	if to < len(res.records) {
		if id == "" {
			id = s.giveCursor(c)
		}
		body["nextRecordsUrl"] = fmt.Sprintf("/services/data/%s/query/%s-%d", c.Version, id, to)
	}
	writeJSON(w, http.StatusOK, body)
}

// giveCursor keeps the query under an id of the usual shape: 18 letters and digits.
func (s *Sandbox) giveCursor(c cursor) string {
	id := "01g" + strings.ToUpper(digest(s.random())[:15])
	c.Expires = s.cfg.Now().Add(cursorTTL)
	s.update(func(st *state) { st.Cursors[id] = &c })
	return id
}
