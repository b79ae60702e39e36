// The two TypeScript SDKs behind one small face: open answers {list, call,
// close, server, version}. v1 speaks only the 2025 era.
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as types1 from '@modelcontextprotocol/sdk/types.js';
import * as v2 from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';

const modernRevision = '2026-07-28';

const declared = {
  url: { elicitation: { form: {}, url: {} } },
  form: { elicitation: {} },
  none: {},
};

function transport(config, provider, Stdio, Http) {
  if (config.command) {
    return new Stdio({ command: config.command, args: config.args, env: config.env, stderr: 'pipe' });
  }
  const headers = config.token ? { Authorization: `Bearer ${config.token}` } : {};
  return new Http(new URL(config.url), { requestInit: { headers }, authProvider: provider });
}

// memoryProvider keeps one OAuth registration and its tokens in memory; the
// person's part is done by the test.
function memoryProvider({ redirect, client_id, scope }, hooks) {
  const kept = client_id ? { client: { client_id } } : {};
  return {
    redirectUrl: redirect,
    clientMetadata: {
      client_name: 'Grantry end-to-end test',
      redirect_uris: [redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      ...(scope && { scope }),
    },
    state: () => 'state-of-the-mcp-client',
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    saveDiscoveryState: (discovered) => void (kept.discovered = discovered),
    discoveryState: () => kept.discovered,
    redirectToAuthorization: (url) => hooks.authorize(url),
  };
}

// connect goes through the browser detour once when the server asks for it.
async function connect(make, newTransport, hooks, isUnauthorized) {
  const first = newTransport();
  first.stderr?.on('data', (chunk) => hooks.stderr(String(chunk)));
  const client = make();
  try {
    await client.connect(first);
    return client;
  } catch (error) {
    if (!isUnauthorized(error)) throw error;
  }
  const { code, iss } = await hooks.code();
  await first.finishAuth(code, iss);
  const again = make();
  await again.connect(newTransport());
  return again;
}

function open1(config, hooks) {
  const make = () => {
    const client = new v1.Client({ name: config.name ?? 'e2e-v1', version: '1.0.0' }, { capabilities: declared[config.elicitation] });
    if (config.elicitation !== 'none') {
      client.setRequestHandler(types1.ElicitRequestSchema, (request) => hooks.ask(request.params));
    }
    client.fallbackNotificationHandler = async ({ method, params }) => hooks.notify({ method, params });
    return client;
  };
  return { make, Stdio: Stdio1, Http: Http1, call: (client, params, options) => client.callTool(params, undefined, options) };
}

function open2(config, hooks) {
  const mode = config.era === 'modern' ? { pin: modernRevision } : 'legacy';
  const make = () => {
    const client = new v2.Client(
      { name: config.name ?? 'e2e-v2', version: '1.0.0' },
      { capabilities: declared[config.elicitation], versionNegotiation: { mode } },
    );
    if (config.elicitation !== 'none') {
      client.setRequestHandler('elicitation/create', (request) => hooks.ask(request.params));
    }
    client.fallbackNotificationHandler = async ({ method, params }) => hooks.notify({ method, params });
    return client;
  };
  return { make, Stdio: Stdio2, Http: v2.StreamableHTTPClientTransport, call: (client, params, options) => client.callTool(params, options) };
}

// open connects the client that config describes.
export async function open(config, hooks) {
  const { make, Stdio, Http, call } = (config.sdk === 'v1' ? open1 : open2)(config, hooks);
  const provider = config.oauth && memoryProvider(config.oauth, hooks);
  const unauthorized = (error) => Boolean(provider) && error?.constructor?.name === 'UnauthorizedError';
  const client = await connect(make, () => transport(config, provider, Stdio, Http), hooks, unauthorized);
  return {
    list: () => client.listTools(),
    call: (name, args, options) => call(client, { name, arguments: args }, options),
    close: () => client.close(),
    server: () => client.getServerVersion() ?? null,
    version: () => client.getNegotiatedProtocolVersion?.() ?? client.transport?.protocolVersion ?? null,
  };
}
