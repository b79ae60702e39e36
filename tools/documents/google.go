package documents

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

const maxField = 2 << 10

// googleNeed is any one of the scopes with which Drive gives out content;
// drive.metadata.readonly would search names only.
func googleNeed() provider.Need {
	return provider.Need{Provider: "google", Groups: [][]string{{drive.DriveReadonlyScope, drive.DriveScope}}}
}

// googleSearch is files.list (https://developers.google.com/workspace/drive/api/guides/search-files).
// Drive orders full-text matches by itself and refuses orderBy with them.
func googleSearch(ctx context.Context, c *tools.Client, in SearchArguments) (DocumentList, error) {
	at, err := tools.ResumePage(c, in.Cursor)
	if err != nil {
		return DocumentList{}, err
	}
	svc, err := drive.NewService(ctx, option.WithHTTPClient(c.Client))
	if err != nil {
		return DocumentList{}, err
	}
	call := svc.Files.List().Context(ctx).
		Q("fullText contains "+quote(in.Query)+" and trashed = false").
		PageSize(int64(in.Limit)).SupportsAllDrives(true).IncludeItemsFromAllDrives(true).
		Fields("nextPageToken", "files(id,name,mimeType,modifiedTime,webViewLink,owners(displayName,emailAddress))")
	if at.Token != "" {
		call.PageToken(at.Token)
	}
	page, err := call.Do()
	if err != nil {
		return DocumentList{}, err
	}
	found := make([]Document, 0, len(page.Files))
	for _, f := range page.Files {
		found = append(found, googleDocument(f))
	}
	kept, next, more := tools.Cut(at, found, page.NextPageToken)
	out := DocumentList{Documents: kept}
	if more {
		out.NextCursor, err = tools.NextCursor(c, next)
	}
	return out, err
}

func googleDocument(f *drive.File) Document {
	out := Document{ID: f.Id, Title: tools.Clip(f.Name, maxField), MIMEType: f.MimeType, Modified: f.ModifiedTime, URL: f.WebViewLink}
	if len(f.Owners) > 0 {
		out.Owner = f.Owners[0].EmailAddress
		if out.Owner == "" {
			out.Owner = f.Owners[0].DisplayName
		}
	}
	return out
}

// quote makes s a string of Drive's query language, in which \ and ' are
// escaped by \; nothing in s can end the string.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

const googleShortcut = "application/vnd.google-apps.shortcut"

// googleRead looks at the file, then exports it (Google's own kinds) or downloads it.
func googleRead(ctx context.Context, c *tools.Client, in ReadArguments) (Text, error) {
	svc, err := drive.NewService(ctx, option.WithHTTPClient(c.Client))
	if err != nil {
		return Text{}, err
	}
	file, err := googleFile(ctx, svc, in.documentID())
	if err == nil && file.MimeType == googleShortcut && file.ShortcutDetails != nil {
		file, err = googleFile(ctx, svc, file.ShortcutDetails.TargetId)
	}
	if err != nil {
		return Text{}, err
	}
	resp, total, err := googleContent(ctx, svc, file)
	if err != nil {
		return Text{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, truncated, err := readText(resp.Body, total)
	if err != nil {
		return Text{}, err
	}
	return Text{ID: file.Id, Title: tools.Clip(file.Name, maxField), MIMEType: file.MimeType, Text: text, Truncated: truncated}, nil
}

func googleFile(ctx context.Context, svc *drive.Service, id string) (*drive.File, error) {
	return svc.Files.Get(id).Context(ctx).SupportsAllDrives(true).Fields("id", "name", "mimeType", "size", googleapi.Field("shortcutDetails(targetId)")).Do()
}

// googleContent opens the file's text. total is its length in bytes, 0 = not known before.
func googleContent(ctx context.Context, svc *drive.Service, f *drive.File) (resp *http.Response, total int64, err error) {
	if export := googleExport(f.MimeType); export != "" {
		resp, err = svc.Files.Export(f.Id, export).Context(ctx).Download()
		return resp, 0, err
	}
	if !isText(f.MimeType) {
		return nil, 0, errNotText(f.MimeType)
	}
	call := svc.Files.Get(f.Id).Context(ctx).SupportsAllDrives(true)
	if f.Size > maxText {
		call.Header().Set("Range", fmt.Sprintf("bytes=0-%d", maxText+3))
	}
	resp, err = call.Download()
	return resp, f.Size, err
}

// googleExport is the text that a Google kind of document is exported as, "" for other files.
func googleExport(mimeType string) string {
	switch mimeType {
	case "application/vnd.google-apps.document":
		return "text/markdown"
	case "application/vnd.google-apps.spreadsheet":
		return "text/csv"
	case "application/vnd.google-apps.presentation":
		return "text/plain"
	}
	return ""
}
