// A website that signs people in by npm's openid-client, which auth0-auth-js and others stand on.
//
//   node relying.mjs '{"server":URL,"client_id":…,"redirect":URI,"scope":…,"client_secret":… | "key":JWK,"parameters":{…}}'
//
// It discovers the server and prints {"authorize":URL}. A line {"back":URL} is
// where the browser came back; it prints {"tokens":{…},"claims":{…}} or {"failure":…}. A line
// {"refresh":TOKEN,"parameters":{…}} refreshes, {"revoke":TOKEN} revokes, in the same form.
import * as oauth from 'openid-client';
import { commands, say, settings } from './say.mjs';

const config = settings();
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const proof = config.key
  ? oauth.PrivateKeyJwt({ key: await crypto.subtle.importKey('jwk', config.key, algorithm, false, ['sign']), kid: config.key.kid })
  : oauth.ClientSecretBasic(config.client_secret);
const server = await oauth.discovery(new URL(config.server), config.client_id, undefined, proof, { execute: [oauth.allowInsecureRequests] });
oauth.enableNonRepudiationChecks(server); // the ID token's signature, by the published keys
const [pkceCodeVerifier, expectedNonce, expectedState] = [oauth.randomPKCECodeVerifier(), oauth.randomNonce(), oauth.randomState()];

const run = {
  back: async ({ back }) => oauth.authorizationCodeGrant(server, new URL(back), { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }),
  refresh: async ({ refresh, parameters }) => oauth.refreshTokenGrant(server, refresh, parameters ?? {}),
  revoke: async ({ revoke }) => oauth.tokenRevocation(server, revoke),
};
commands(async (message) => {
  try {
    const tokens = await run[Object.keys(run).find((name) => name in message)](message);
    say({ tokens: tokens ?? {}, claims: tokens?.claims?.() ?? null });
  } catch (error) {
    say({ failure: { error: error.error, status: error.status, message: error.message } });
  }
});
say({
  authorize: oauth.buildAuthorizationUrl(server, {
    redirect_uri: config.redirect, scope: config.scope, nonce: expectedNonce, state: expectedState,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...config.parameters,
  }).href,
});
