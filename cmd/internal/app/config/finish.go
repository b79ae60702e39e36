package config

import (
	"cmp"
	"net"
	"net/url"
	"path/filepath"
	"slices"
)

// finish applies the flags, fills in what depends on the system, and checks
// what one key alone cannot tell.
func (r *reader) finish(c *Config, opts Options) {
	r.applyFlags(c, opts)
	r.fillFolders(c)
	r.checkListen(c, opts)
	r.checkPlainHTTP(c)
	r.checkIdentity(c.Identity)
	r.checkClients(c)
	r.checkConnections(c, opts.Providers)
	r.checkWorkloads(c)
	r.checkPolicy(c, opts.Tools)
	slices.SortFunc(r.secrets, func(a, b NamedSecret) int { return cmp.Compare(a.Path, b.Path) })
	c.Secrets = r.secrets
	if opts.Sandbox {
		r.sandbox(c)
	}
}

func (r *reader) applyFlags(c *Config, opts Options) {
	if opts.Listen != "" {
		c.Listen = opts.Listen
		if !isAddress(opts.Listen) {
			r.problem("--listen", wantAddress)
		}
	}
	if opts.DataDir != "" {
		c.DataDir = absolute(opts.DataDir)
	}
}

func (r *reader) fillFolders(c *Config) {
	if c.DataDir == "" && !r.set("data_dir") {
		dir := userDataDir(r.env, r.home)
		if dir == "" {
			r.problem("data_dir", "there is no home folder to put it in; give --data-dir")
		} else {
			c.DataDir = filepath.Join(dir, "grantry")
		}
	}
	if c.Keys.Source.Scheme() == "" && !r.set("keys.source") {
		dir := userConfigDir(r.env, r.home)
		if dir == "" {
			r.problem("keys.source", "there is no home folder to put a key in; set keys.source")
		} else {
			c.Keys.Source = KeySource{"file", filepath.Join(dir, "grantry", "key")}
		}
	}
}

func (r *reader) checkListen(c *Config, opts Options) {
	if isAddress(c.Listen) && !listensOnLoopback(c.Listen) && !r.set("public_url") && !opts.Sandbox {
		r.add(r.line("listen"), "public_url", "public_url: is required, because "+listenKey(opts)+" is not a loopback address: set it to the https address that people and clients use")
	}
	if r.set("tls.cert") != r.set("tls.key") {
		r.problem("tls", "needs both cert and key")
	}
	if r.set("tls.cert") && hasScheme(c.PublicURL, "http") {
		r.problem("public_url", "must be https, because tls is set")
	}
	if _, port, err := net.SplitHostPort(c.AdminListen); err == nil && port != "0" && c.AdminListen == c.Listen {
		r.problem("admin_listen", "must not be the same address as "+listenKey(opts))
	}
}

func listenKey(opts Options) string {
	if opts.Listen != "" {
		return "--listen"
	}
	return "listen"
}

func hasScheme(address, scheme string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == scheme
}

// publicIsLoopback says whether everything about this Grantry stays on this
// machine. A public_url that is wrong is reported already and counts as yes.
func (r *reader) publicIsLoopback(c *Config) bool {
	if r.set("public_url") {
		u, err := url.Parse(c.PublicURL)
		return err != nil || c.PublicURL == "" || isLoopback(u.Hostname())
	}
	return !isAddress(c.Listen) || listensOnLoopback(c.Listen)
}

func (r *reader) checkPlainHTTP(c *Config) {
	if r.publicIsLoopback(c) {
		return
	}
	for _, path := range r.loopback {
		r.problem(path, "must be https: plain http to loopback is only for a public_url on loopback")
	}
}

// checkPolicy finds exceptions for tools that do not exist: they would have
// no effect, silently.
func (r *reader) checkPolicy(c *Config, tools func() []string) {
	if tools == nil || len(c.Tools.Policy) == 0 {
		return
	}
	known := tools()
	for name := range c.Tools.Policy {
		if !slices.Contains(known, name) && checkToolName(r, name) == "" {
			r.problem(join("tools.policy", name), "there is no such tool"+meant(name, known)+"; `grantry tools list` shows them")
		}
	}
}

// sandbox leaves out what would connect a demonstration to the real world.
func (r *reader) sandbox(c *Config) {
	if isAddress(c.Listen) && !listensOnLoopback(c.Listen) {
		r.problem("--sandbox", "the sandbox is for this machine only: listen must be a loopback address, such as 127.0.0.1:8787")
	}
	if !r.publicIsLoopback(c) && r.set("public_url") {
		r.problem("--sandbox", "the sandbox is for this machine only: public_url must be a loopback address, or be left out")
	}
	for _, name := range []string{"clients", "connections", "identity", "keys", "store", "workloads"} {
		if r.set(name) && (name != "store" || !c.Store.IsFile()) {
			c.Ignored = append(c.Ignored, name)
		}
	}
	c.Identity = Identity{}
	identityKeys().absent(r, "(sandbox)", &c.Identity)
	c.Clients, c.Connections, c.Workloads = map[string]Client{}, map[string]Connection{}, map[string]Workload{}
	c.Secrets, c.Store = nil, Database{}
	if c.DataDir != "" {
		c.DataDir = filepath.Join(c.DataDir, "sandbox")
	}
	c.Keys.Source = KeySource{"file", filepath.Join(c.DataDir, "key")}
	c.Sandbox = true
}
