package crm

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

const (
	salesforceVersion = "v67.0"
	// salesforceHost serves API calls when the token came without an instance;
	// the connection's own address replaces it.
	salesforceHost = "https://login.salesforce.com"
)

func salesforceNeed() provider.Need {
	return provider.Need{Provider: "salesforce", Groups: [][]string{{"api", "full"}}}
}

// salesforcePage is an answer of /query.
type salesforcePage struct {
	Total   int      `json:"totalSize"`
	Next    string   `json:"nextRecordsUrl"`
	Records []Record `json:"records"`
}

var locatorText = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// isLocator says whether s may be the last part of a nextRecordsUrl, such as 01gD0000002HU6KIAW-2000.
func isLocator(s string) bool { return len(s) <= 200 && locatorText.MatchString(s) }

// salesforceQuery is GET /query (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm).
// Of nextRecordsUrl only the locator is kept; the path is ours.
func salesforceQuery(ctx context.Context, c *tools.Client, in QueryArguments) (RecordList, error) {
	at, err := tools.ResumePage(c, in.Cursor)
	if err != nil {
		return RecordList{}, err
	}
	address, err := salesforceAddress(c.APIBase, at.Token, in.Query)
	if err != nil {
		return RecordList{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return RecordList{}, err
	}
	req.Header.Set("Sforce-Query-Options", "batchSize=200")
	page, err := tools.JSON[salesforcePage](c, req)
	if err != nil {
		return RecordList{}, err
	}
	records := make([]Record, 0, len(page.Records))
	for _, r := range page.Records {
		records = append(records, fit(flatten(r)))
	}
	next := page.Next[strings.LastIndexByte(page.Next, '/')+1:]
	if next != "" && !isLocator(next) {
		return RecordList{}, c.Unreadable(http.StatusOK)
	}
	kept, goOn, more := tools.Cut(at, records, next)
	out := RecordList{Records: kept, Total: &page.Total}
	if more {
		out.NextCursor, err = tools.NextCursor(c, goOn)
	}
	return out, err
}

func salesforceAddress(base, token, query string) (string, error) {
	if base == "" {
		base = salesforceHost
	}
	address := strings.TrimSuffix(base, "/") + "/services/data/" + salesforceVersion + "/query"
	switch {
	case token == "":
		return address + "?q=" + url.QueryEscape(query), nil
	case !isLocator(token):
		return "", &tools.InputError{Path: "cursor", Reason: "must be a next_cursor of an earlier result, unchanged"}
	}
	return address + "/" + token, nil
}
