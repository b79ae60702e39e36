package sandbox

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// mountDrive adds the Drive v3 methods that our tools call. Scopes: the discovery document's, any of.
func (s *Sandbox) mountDrive(mux *http.ServeMux) {
	const service = "drive.googleapis.com"
	content := []string{"drive.readonly", "drive.file", "drive"}
	meta := []string{"drive.metadata.readonly", "drive.readonly", "drive.file", "drive.metadata", "drive"}
	s.route(mux, google, "api", "GET /google/drive/v3/files", s.googleAPI(googleMethod{service, "google.apps.drive.v3.DriveFiles.List", meta, s.listFiles}))
	s.route(mux, google, "api", "GET /google/drive/v3/files/{id}/export", s.googleAPI(googleMethod{service, "google.apps.drive.v3.DriveFiles.Export", content, s.exportFile}))
	get := s.googleAPI(googleMethod{service, "google.apps.drive.v3.DriveFiles.Get", meta, s.getFile})
	media := s.googleAPI(googleMethod{service, "google.apps.drive.v3.DriveFiles.Get", content, s.downloadFile})
	s.route(mux, google, "api", "GET /google/drive/v3/files/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("alt") == "media" {
			media(w, r)
			return
		}
		get(w, r)
	})
}

// filesFor is what a token can see: the person's files, or with drive.file alone only what this app has
// made, which is nothing.
func (s *Sandbox) filesFor(t token, p person) []file {
	if !hasScope(t, "drive.metadata.readonly", "drive.readonly", "drive.metadata", "drive") {
		return nil
	}
	var out []file
	for _, f := range s.files() {
		if f.owner == p.name || f.shared {
			out = append(out, f)
		}
	}
	return out
}

func hasScope(t token, short ...string) bool {
	return slices.ContainsFunc(short, func(sc string) bool { return slices.Contains(t.Scopes, googleAuth+sc) })
}

func (s *Sandbox) listFiles(w http.ResponseWriter, r *http.Request, t token, p person) {
	match, ok := parseDriveQuery(r.FormValue("q"), hasScope(t, "drive.readonly", "drive"))
	order, sortable := driveOrder(r.FormValue("orderBy"))
	if !ok || !sortable {
		where := "q"
		if ok {
			where = "orderBy"
		}
		writeJSON(w, http.StatusBadRequest, reply{"error": reply{
			"code": http.StatusBadRequest, "message": "Invalid Value",
			"errors": []reply{{"message": "Invalid Value", "domain": "global", "reason": "invalid", "location": where, "locationType": "parameter"}},
		}})
		return
	}
	hits := slices.DeleteFunc(s.filesFor(t, p), func(f file) bool { return !match(f) })
	slices.SortStableFunc(hits, order)
	from, to, next, bad := window(r, len(hits), "pageSize", 100, 1000)
	if bad != "" {
		googleError(w, http.StatusBadRequest, "invalid", bad)
		return
	}
	items := []reply{}
	for _, f := range hits[from:to] {
		items = append(items, s.resource(f, p))
	}
	out := reply{"kind": "drive#fileList", "incompleteSearch": false, "files": items}
	if next != "" {
		out["nextPageToken"] = next
	}
	fields := cmp.Or(r.FormValue("fields"), "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)")
	writeJSON(w, http.StatusOK, parseFields(fields).pick(out))
}

// driveOrder reads orderBy: keys with an optional " desc". Newest first if there is none.
func driveOrder(raw string) (func(a, b file) int, bool) {
	key, dir, _ := strings.Cut(strings.TrimSpace(cmp.Or(raw, "modifiedTime desc")), " ")
	var order func(a, b file) int
	switch key {
	case "modifiedTime", "recency", "viewedByMeTime", "createdTime":
		order = func(a, b file) int { return a.modified.Compare(b.modified) }
	case "name", "name_natural":
		order = func(a, b file) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) }
	default:
		return nil, false
	}
	if dir == "desc" {
		return func(a, b file) int { return order(b, a) }, true
	}
	return order, dir == ""
}

// findFile answers 404 itself when the person has no such file.
func (s *Sandbox) findFile(w http.ResponseWriter, r *http.Request, t token, p person) (file, bool) {
	for _, f := range s.filesFor(t, p) {
		if f.id == r.PathValue("id") {
			return f, true
		}
	}
	message := "File not found: " + r.PathValue("id") + "."
	writeJSON(w, http.StatusNotFound, reply{"error": reply{
		"code": http.StatusNotFound, "message": message,
		"errors": []reply{{"message": message, "domain": "global", "reason": "notFound", "location": "fileId", "locationType": "parameter"}},
	}})
	return file{}, false
}

func (s *Sandbox) getFile(w http.ResponseWriter, r *http.Request, t token, p person) {
	f, found := s.findFile(w, r, t, p)
	if !found {
		return
	}
	fields := cmp.Or(r.FormValue("fields"), "kind,id,name,mimeType")
	writeJSON(w, http.StatusOK, parseFields(fields).pick(s.resource(f, p)))
}

func (s *Sandbox) downloadFile(w http.ResponseWriter, r *http.Request, t token, p person) {
	f, found := s.findFile(w, r, t, p)
	if !found {
		return
	}
	if f.google() {
		googleError(w, http.StatusForbidden, "fileNotDownloadable", "Only files with binary content can be directly downloaded. Use Export with Docs Editors files.")
		return
	}
	w.Header().Set("Content-Type", f.mime)
	http.ServeContent(w, r, "", f.modified, bytes.NewReader(f.body()))
}

func (s *Sandbox) exportFile(w http.ResponseWriter, r *http.Request, t token, p person) {
	f, found := s.findFile(w, r, t, p)
	if !found {
		return
	}
	want := r.FormValue("mimeType")
	switch {
	case !f.google() || f.mime == folderType:
		googleError(w, http.StatusForbidden, "fileNotExportable", "Export only supports Docs Editors files.")
		return
	case want == "":
		googleError(w, http.StatusBadRequest, "required", "Required parameter: mimeType")
		return
	case !slices.Contains(f.exports(), want):
		googleError(w, http.StatusBadRequest, "badRequest", "The requested conversion is not supported.")
		return
	}
	w.Header().Set("Content-Type", want)
	w.Write(f.export(want))
}

// resource is the file in the API's form.
func (s *Sandbox) resource(f file, p person) reply {
	owner, _ := findPerson(f.owner)
	out := reply{
		"kind": "drive#file", "id": f.id, "name": f.name, "mimeType": f.mime, "description": f.about,
		"createdTime":  f.modified.AddDate(0, 0, -30).Format(time.RFC3339),
		"modifiedTime": f.modified.Format(time.RFC3339), "webViewLink": s.fileLink(f), "parents": []string{f.folder},
		"owners":    []reply{{"kind": "drive#user", "displayName": owner.full(), "emailAddress": owner.email, "me": owner.name == p.name}},
		"ownedByMe": owner.name == p.name, "shared": f.shared, "trashed": f.trashed, "starred": false,
		"capabilities": reply{"canDownload": true, "canEdit": owner.name == p.name, "canCopy": true},
	}
	if !f.google() {
		f.measure(out)
	}
	return out
}

func (s *Sandbox) fileLink(f file) string { return s.cfg.BaseURL + "/google/file/d/" + f.id + "/view" }
