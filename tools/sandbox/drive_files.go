package sandbox

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types of Drive that are not files with bytes of their own.
const (
	docType    = "application/vnd.google-apps.document"
	sheetType  = "application/vnd.google-apps.spreadsheet"
	slidesType = "application/vnd.google-apps.presentation"
	folderType = "application/vnd.google-apps.folder"
)

// file is one entry of the company's Drive.
type file struct {
	id, name, mime, owner, folder, about string
	shared, trashed                      bool
	modified                             time.Time
	text                                 string        // Markdown for documents, CSV for sheets
	raw                                  func() []byte // instead of text
}

func (f file) google() bool { return strings.HasPrefix(f.mime, "application/vnd.google-apps.") }

func (f file) body() []byte {
	if f.raw != nil {
		return f.raw()
	}
	return []byte(f.text)
}

// measure adds what only files with bytes have. Sizes are strings in this API.
func (f file) measure(out reply) {
	b := f.body()
	sum := md5.Sum(b)
	out["size"], out["md5Checksum"] = strconv.Itoa(len(b)), hex.EncodeToString(sum[:])
	out["originalFilename"] = f.name
	if at := strings.LastIndexByte(f.name, '.'); at > 0 {
		out["fileExtension"] = f.name[at+1:]
	}
}

// indexed is what a search sees of the content: the beginning of a text, nothing of a binary.
func (f file) indexed() string {
	const most = 64 << 10
	if !f.google() && !strings.HasPrefix(f.mime, "text/") {
		return ""
	}
	b := f.body()
	return string(b[:min(len(b), most)])
}

func (f file) exports() []string {
	switch f.mime {
	case docType:
		return []string{"text/markdown", "text/plain", "application/pdf"}
	case sheetType:
		return []string{"text/csv", "text/tab-separated-values", "application/pdf"}
	case slidesType:
		return []string{"text/plain", "application/pdf"}
	}
	return nil
}

// export converts; the format is one of exports.
func (f file) export(format string) []byte {
	switch format {
	case "application/pdf":
		return pdf(f.name)
	case "text/tab-separated-values":
		return []byte(strings.ReplaceAll(f.text, ",", "\t"))
	case "text/plain":
		return plain(f.text)
	}
	return []byte(f.text)
}

// plain takes the marks of Markdown off, and adds the byte-order mark that Google's plain text has.
func plain(md string) []byte {
	lines := strings.Split(md, "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| -") || strings.HasPrefix(l, "| :") })
	for i, l := range lines {
		l = strings.TrimLeft(l, "#")
		l = strings.ReplaceAll(strings.Trim(l, "|"), " | ", "\t")
		lines[i] = strings.TrimSpace(strings.ReplaceAll(l, "**", ""))
	}
	return []byte("\ufeff" + strings.Join(lines, "\r\n"))
}

// pdf makes a one-page document that a reader opens, with the title on it.
func pdf(title string) []byte {
	title = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(title)
	page := "BT /F1 18 Tf 72 720 Td (" + title + ") Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(page), page),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, start)
	return b.Bytes()
}

// transcript is a text of a little over 2 MiB, larger than a tool should hand to a model.
func transcript() []byte {
	lines := []string{
		"Dan: Can you hear me? Good. Let us go through the open points.",
		"Customer: The export is what we need most, the rest can wait.",
		"Dan: I will write that down and come back with a date.",
		"Customer: Our security people ask where the keys are kept.",
		"Dan: Outside the database. I will send the paper.",
		"Customer: Thank you. And the price for three years?",
	}
	var b bytes.Buffer
	b.WriteString("Support calls, archive. One line a turn.\n")
	for i := 0; b.Len() < 2<<20; i++ {
		fmt.Fprintf(&b, "[call %05d, %02d:%02d] %s\n", i/40+1, i%40/2, i%2*30, lines[i%len(lines)])
	}
	b.WriteString("End of the archive.\n")
	return b.Bytes()
}
