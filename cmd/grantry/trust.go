package main

import (
	"fmt"
	"strconv"
	"strings"
)

// printTrust says how programs come to trust the authority of --tls-dev; "" when there is none. It is
// for people, beside what others read from stdout.
func (e *env) printTrust(ca string) {
	if ca == "" {
		return
	}
	in := ca
	if strings.ContainsAny(ca, " \t'\"$`&;()*?!#~<>|") {
		in = strconv.Quote(ca)
	}
	fmt.Fprintf(e.err, `
https is served with a certificate for localhost, 127.0.0.1 and ::1 alone. Its authority is made once, and is
this data folder's own: %[2]s
Tell the programs that are to trust it:
  Node             NODE_EXTRA_CA_CERTS=%[1]s
  Python           SSL_CERT_FILE=%[1]s         (ssl, urllib, httpx; in place of other authorities)
                   REQUESTS_CA_BUNDLE=%[1]s    (requests; the same)
  Go               SSL_CERT_FILE=%[1]s         (Linux and BSD; the same), or in code:
                     pem, err := os.ReadFile(%[3]q)
                     pool, _ := x509.SystemCertPool(); pool.AppendCertsFromPEM(pem)
                     client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
  curl             --cacert %[1]s
A browser asks once; importing the file there as an authority ends that.

`, in, ca, ca)
}
