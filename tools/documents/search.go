package documents

import "github.com/grantry/grantry/tools"

// SearchArguments are the arguments of documents_search.
type SearchArguments struct {
	Query  string `json:"query" jsonschema:"Words that the document or its name contains." schema:"minLength=1,maxLength=500"`
	Limit  int    `json:"limit,omitempty" jsonschema:"How many documents at most." schema:"minimum=1,maximum=100,default=20"`
	Cursor string `json:"cursor,omitempty" jsonschema:"next_cursor of the result before, with otherwise the same arguments." schema:"minLength=1,maxLength=4096"`
}

// Document is what is known about a document without reading it.
type Document struct {
	ID       string `json:"id" jsonschema:"For documents_read"`
	Title    string `json:"title"`
	MIMEType string `json:"mime_type"`
	Modified string `json:"modified" jsonschema:"RFC 3339 time"`
	URL      string `json:"url"`
	Owner    string `json:"owner,omitempty" jsonschema:"E-mail address or name"`
}

// DocumentList is the result of documents_search.
type DocumentList struct {
	Documents  []Document `json:"documents" jsonschema:"Best match first"`
	NextCursor string     `json:"next_cursor,omitempty" jsonschema:"There when there are more documents: give it back as cursor."`
}

func search() tools.Tool {
	return tools.Define(tools.Read, "documents_search", "Search documents",
		"Searches the account's documents, shared ones included, by words in name and content. Read one with documents_read.",
		tools.Via(googleNeed(), googleSearch),
		tools.Summarize(func(_ SearchArguments, out DocumentList) string {
			return tools.Count(len(out.Documents), "document", "documents", out.NextCursor)
		}),
	)
}
