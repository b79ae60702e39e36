// Google and Slack that are not ours: vercel-labs' emulate.
//
//   node emulate.mjs '{"redirects":{"google":[…],"slack":[…]},"strict_scopes":true}'
//
// It prints {"google":URL,"slack":URL} when both listen. Google's half takes
// any bearer token and checks no scope, so no test may read its "yes" as proof
// that a token was alive or wide enough.
import { createEmulator } from 'emulate';
import { commands, freePort, say, settings } from './say.mjs';

const config = settings();
const soon = (days, hour) => {
  const at = new Date(Date.now() + days * 86_400_000);
  at.setUTCHours(hour, 0, 0, 0);
  return at.toISOString();
};

const google = {
  users: [
    { email: 'alice@example.com', name: 'Alice Example' },
    { email: 'bob@example.com', name: 'Bob Example' },
  ],
  oauth_clients: [
    { client_id: 'emulate-google', client_secret: 'emulate-google-secret', name: 'Grantry', redirect_uris: config.redirects?.google ?? [] },
  ],
  calendars: [
    { id: 'alice@example.com', user_email: 'alice@example.com', summary: 'alice@example.com', primary: true },
    { id: 'bob@example.com', user_email: 'bob@example.com', summary: 'bob@example.com', primary: true },
  ],
  calendar_events: [
    { id: 'evt_review', user_email: 'alice@example.com', calendar_id: 'alice@example.com', summary: 'Emulated design review', start_date_time: soon(1, 9), end_date_time: soon(1, 10) },
    { id: 'evt_dentist', user_email: 'bob@example.com', calendar_id: 'bob@example.com', summary: 'Emulated dentist', start_date_time: soon(2, 9), end_date_time: soon(2, 10) },
    { id: 'evt_later', user_email: 'alice@example.com', calendar_id: 'alice@example.com', summary: 'Emulated far future', start_date_time: soon(40, 9), end_date_time: soon(40, 10) },
  ],
  drive_items: [
    { id: 'drv_plan', user_email: 'alice@example.com', name: 'Launch plan.txt', mime_type: 'text/plain', data: 'Launch on the first Monday of spring.\n' },
    { id: 'drv_bob', user_email: 'bob@example.com', name: 'Bob notes.txt', mime_type: 'text/plain', data: 'Only for Bob.\n' },
  ],
};

const slack = {
  strict_scopes: config.strict_scopes ?? true,
  team: { name: 'Example Workspace', domain: 'example' },
  users: [
    { name: 'alice', real_name: 'Alice Example', email: 'alice@example.com' },
    { name: 'bob', real_name: 'Bob Example', email: 'bob@example.com' },
  ],
  channels: [{ name: 'launch', topic: 'Where tests post' }],
  oauth_apps: [
    { client_id: 'emulate-slack', client_secret: 'emulate-slack-secret', name: 'Grantry', redirect_uris: config.redirects?.slack ?? [], scopes: ['chat:write'] },
  ],
};

// start runs one service. emulate binds 127.0.0.1 unless told otherwise, but
// calls itself localhost unless it is given its address beforehand.
async function start(service, seed) {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  await createEmulator({ service, port, baseUrl, seed: { [service]: seed } });
  return baseUrl;
}

say({ google: await start('google', google), slack: await start('slack', slack) });
commands();
