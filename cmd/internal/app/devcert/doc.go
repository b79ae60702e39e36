// Package devcert makes the certificate of `grantry serve --tls-dev`: a certificate
// authority of this data folder's own, and a certificate for localhost, 127.0.0.1 and ::1.
//
//	{data_dir}/tls/    0700
//	    ca.pem         the authority's certificate: what people tell their programs to trust
//	    ca-key.pem     0600: the same certificate, and its key
//	    server.pem     0600: the certificate that is served, and its key; made anew when it nears its end
//
// # What holds
//
//   - Whoever trusts ca.pem trusts it for these three names and for no other: the constraint is in the
//     authority's certificate, and critical, so that a program that does not know it trusts nothing. The
//     authority signs certificates of servers alone, and no further authority.
//   - Its key is kept. An authority that is forgotten after one signature would leave a thief nothing but the
//     server's key; but that key already does what the authority's can do, which is to be these three names,
//     and people would have to trust a new ca.pem every few weeks, until they trust whatever is asked of them.
//     So the authority lasts for ten years, and its key lies beside the server's, for its owner alone.
//   - Several processes may begin at once: the file with the key is linked into its place, so one of them makes
//     it and the others read it. Every file is whole or not there.
//
// It is for loopback; who uses it sees to that. It imports nothing of ours.
package devcert
