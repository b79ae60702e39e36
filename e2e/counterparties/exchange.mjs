// A token exchange by npm's openid-client, which auth0-auth-js and others stand on.
//
//   node exchange.mjs '{"server":URL,"client_id":…,"client_secret":…,"method":"basic|post","grant":URN,
//                       "algorithm":"oidc|oauth2","parameters":{…}}'
//
// It discovers the server, sends one genericGrantRequest, and prints
// {"metadata":{…},"answer":{…}} or {"metadata":{…},"failure":{"status","error","error_description","cause":{…}}}.
import * as oauth from 'openid-client';
import { say, settings } from './say.mjs';

const config = settings();
const proof = (config.method === 'basic' ? oauth.ClientSecretBasic : oauth.ClientSecretPost)(config.client_secret);
const server = await oauth.discovery(new URL(config.server), config.client_id, undefined, proof, {
  algorithm: config.algorithm ?? 'oidc',
  execute: [oauth.allowInsecureRequests],
});
const metadata = server.serverMetadata();
try {
  say({ metadata, answer: await oauth.genericGrantRequest(server, config.grant, config.parameters) });
} catch (error) {
  say({ metadata, failure: { status: error.status, error: error.error, error_description: error.error_description, cause: error.cause, message: error.message } });
}
