// An OpenID provider that is not ours: panva's certified oidc-provider.
//
//   node issuer.mjs '{"clients":[…],"scopes":[…],"resources":[…],"ttl":{…}}'
//
// It prints {"url"} when it listens, and then what really happened at its
// endpoints ({"event":"request"}), which is the ground truth of the tests:
// every token that it issued and every refresh token that it was shown.
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';
import { commands, freePort, say, settings } from './say.mjs';

const people = {
  alice: { email: 'alice@example.com', email_verified: true, name: 'Alice Example' },
  carol: { email: 'carol@example.com', email_verified: true, name: 'Carol Example' },
  bob: { email: 'bob@example.com', email_verified: true, name: 'Bob Example' },
};

const config = settings();
const port = config.port ?? (await freePort());
const issuer = `http://127.0.0.1:${port}`;

// resourceServer gives a JWT access token (RFC 9068, typ at+jwt) for each
// resource that the test has listed, an opaque one where it says so, and
// refuses any other (RFC 8707).
function resourceServer(_ctx, indicator) {
  if (!(config.resources ?? []).includes(indicator)) throw new errors.InvalidTarget();
  return {
    scope: (config.scopes ?? []).join(' '),
    audience: indicator,
    accessTokenFormat: (config.opaque ?? []).includes(indicator) ? 'opaque' : 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  };
}

const provider = new Provider(issuer, {
  clients: config.clients ?? [],
  scopes: ['openid', 'offline_access', ...(config.scopes ?? [])],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: config.conformIdTokenClaims ?? true,
  findAccount: (_ctx, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ...(config.refreshAlways && { issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token') }),
  ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 3600, IdToken: 3600, ...config.ttl },
  cookies: { keys: ['only for tests on loopback'] },
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => true },
  },
});

// Only the endpoints that carry tokens are reported; pages are not.
const watched = new Set(['/token', '/token/revocation', '/token/introspection', '/me', '/reg']);
provider.use(async (ctx, next) => {
  await next();
  if (!watched.has(ctx.path)) return;
  const { body, params } = ctx.oidc ?? {};
  say({ event: 'request', method: ctx.method, path: ctx.path, status: ctx.status, client: ctx.oidc?.client?.clientId, sent: { ...body, ...params }, answered: ctx.body ?? null });
});
provider.on('server_error', (_ctx, error) => say({ event: 'server_error', message: error.message }));

const server = createServer(provider.callback());
server.listen(port, '127.0.0.1', () => say({ url: issuer }));
// A test that has sent {"sync":N} and reads it back has read all before it.
commands((command) => say({ event: 'synced', sync: command.sync }));
