package gate

import (
	"io"
	"net/http"
	"time"
)

// Pace is how slowly a client may send and read. An answer as a whole may take as
// long as it takes: streams are open for hours.
type Pace struct {
	Body  time.Duration // for the whole body of a request
	Write time.Duration // for each piece of an answer
}

// Ordinary is the pace of all our listeners.
func Ordinary() Pace { return Pace{Body: 30 * time.Second, Write: 30 * time.Second} }

// Keep cuts off clients that are slower: each holds a connection and what its request takes.
func (p Pace) Keep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paced := &pacedWriter{ResponseWriter: w, conn: http.NewResponseController(w), each: p.Write}
		if r.Body != nil && r.Body != http.NoBody {
			_ = paced.conn.SetReadDeadline(time.Now().Add(p.Body))
			r.Body = &pacedBody{ReadCloser: r.Body, conn: paced.conn}
		}
		defer paced.allow() // for what net/http still has to write
		next.ServeHTTP(paced, r)
	})
}

// pacedBody lifts the deadline once the body is read: net/http then reads on, to
// hear whether the client goes away.
type pacedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // io.Reader answers it as it is
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

type pacedWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
	each time.Duration
}

func (w *pacedWriter) allow() { _ = w.conn.SetWriteDeadline(time.Now().Add(w.each)) }

// Unwrap lets http.ResponseController reach the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements io.Writer.
func (w *pacedWriter) Write(p []byte) (int, error) {
	w.allow()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() {
	w.allow()
	_ = w.conn.Flush()
}
