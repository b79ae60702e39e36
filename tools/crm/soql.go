package crm

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/grantry/grantry/tools"
)

// maxEncodedQuery is how many bytes a query may take in an address. Salesforce
// allows 16,384 for the address and the headers together.
const maxEncodedQuery = 12 << 10

// checkSOQL refuses all but one SELECT that changes nothing. SOQL cannot change
// records, but FOR UPDATE locks them, FOR VIEW and FOR REFERENCE mark them as
// recently used, and UPDATE TRACKING and UPDATE VIEWSTAT count them
// (https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select.htm).
func checkSOQL(q string) error {
	if len(url.QueryEscape(q)) > maxEncodedQuery {
		return refuse("is too long for an address; at most 12 KiB are allowed once it is encoded")
	}
	words, semicolon, closed := soqlWords(q)
	switch {
	case !closed:
		return refuse("has a string that does not end; strings stand in single quotes, a quote in them is written \\'")
	case len(words) == 0 || words[0] != "SELECT":
		return refuse("must be a SOQL SELECT statement; this tool only reads")
	case strings.HasPrefix(strings.TrimSpace(strings.TrimSpace(q)[len("SELECT"):]), "*"):
		return refuse("must name its fields; SOQL has no SELECT *")
	case semicolon:
		return refuse("must be one statement, without a semicolon")
	}
	for i := range len(words) - 1 {
		switch words[i] + " " + words[i+1] {
		case "FOR UPDATE", "FOR VIEW", "FOR REFERENCE", "UPDATE TRACKING", "UPDATE VIEWSTAT":
			return refuse("must not have " + words[i] + " " + words[i+1] + "; this tool only reads")
		}
	}
	return nil
}

func refuse(reason string) error { return &tools.InputError{Path: "query", Reason: reason} }

// soqlWords are the words of q outside its strings, in upper case. What stands
// before the first is kept as a word of its own unless it is space.
func soqlWords(q string) (words []string, semicolon, closed bool) {
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, strings.ToUpper(word.String()))
			word.Reset()
		}
	}
	inString, escaped := false, false
	for _, r := range q {
		switch {
		case inString:
			inString = escaped || r != '\''
			escaped = r == '\\' && !escaped
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			word.WriteRune(r)
		default:
			flush()
			if len(words) == 0 && !unicode.IsSpace(r) {
				words = append(words, string(r))
			}
			inString = r == '\''
			semicolon = semicolon || r == ';'
		}
	}
	flush()
	return words, semicolon, !inString
}
