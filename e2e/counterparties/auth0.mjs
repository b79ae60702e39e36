// An application that was written for Auth0 Token Vault, on Auth0's own SDKs.
//
//   node auth0.mjs '{"sdk":"ai|auth-js","domain":…,"client_id":…,"client_secret":…,"subject":TOKEN,
//                    "refresh":true where that is a refresh token,"connection":…,"scopes":[…],"scope":…,"login_hint":…}'
//
// "ai" wraps a tool as @auth0/ai does, and runs it; "auth-js" calls exchangeToken of auth0-auth-js.
// It prints {"token","scope","expires_in"}, or {"failure":{"name","message","cause":{…}}}.
import { createRequire } from 'node:module';
import { AuthClient } from '@auth0/auth0-auth-js';
import { say, settings } from './say.mjs';

const require = createRequire(import.meta.url);
const { TokenVaultAuthorizerBase, getCredentialsFromTokenVault, SUBJECT_TOKEN_TYPES } = require('@auth0/ai/TokenVault');
const { MemoryStore } = require('@auth0/ai/stores');

const config = settings();
const client = { domain: config.domain, clientId: config.client_id, clientSecret: config.client_secret };

async function ai() {
  const vault = new TokenVaultAuthorizerBase(client, {
    store: new MemoryStore(),
    ...(config.refresh
      ? { refreshToken: async () => config.subject }
      : { accessToken: async () => config.subject, subjectTokenType: SUBJECT_TOKEN_TYPES.SUBJECT_TYPE_ACCESS_TOKEN }),
    connection: config.connection,
    scopes: config.scopes,
    ...(config.login_hint && { loginHint: () => config.login_hint }),
  });
  const tool = vault.protect(() => ({ threadID: 't', toolCallID: 'c', toolName: 'n' }), async () => getCredentialsFromTokenVault());
  const got = await tool();
  return { token: got.accessToken, scope: got.scopes?.join(' '), expires_in: got.expiresIn };
}

async function authJS() {
  const got = await new AuthClient(client).exchangeToken({
    connection: config.connection,
    subjectToken: config.subject,
    subjectTokenType: `urn:ietf:params:oauth:token-type:${config.refresh ? 'refresh' : 'access'}_token`,
    ...(config.scope && { scope: config.scope }),
    ...(config.login_hint && { loginHint: config.login_hint }),
  });
  return { token: got.accessToken, scope: got.scope, expires_in: got.expiresAt - Math.floor(Date.now() / 1000) };
}

try {
  say(await (config.sdk === 'ai' ? ai() : authJS()));
} catch (error) {
  say({ failure: { name: error.name ?? error.constructor?.name, code: error.code, message: error.message, cause: error.cause && { ...error.cause } } });
}
