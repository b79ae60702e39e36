// One MCP client for the tests, over both TypeScript SDKs and both transports.
//
//   node client.mjs '{"sdk":"v1|v2","era":"legacy|modern","elicitation":"url|form|none",
//                     "url":…,"token":…}'            streamable HTTP
//                    '{…,"command":…,"args":[…],"env":{…}}'   stdio
//   optional: "name", "answer" (accept|decline|cancel; otherwise the test is
//   asked), "oauth": {"redirect":URL,"client_id":…,"scope":…}
//
// Commands, one JSON line each on stdin:
//   {"id":1,"op":"list"}
//   {"id":2,"op":"call","name":…,"args":{…},"timeout":ms}
//   {"op":"cancel","id":2}
//   {"op":"answer","elicitation":1,"action":"accept|decline|cancel","content":{…}}   content: of a form
//   {"op":"code","code":…,"iss":…}   ends the OAuth detour
//   {"id":3,"op":"close"}
// It prints {"event":"ready","server":…,"version":…}, {"id","result"} or
// {"id","error":{code,message,data}}, {"event":"elicitation","elicitation":1,
// "params":…}, {"event":"notification","method",…}, {"event":"authorize","url"},
// {"event":"stderr","text"} and {"event":"failed","error"}.
import { commands, say, settings } from './say.mjs';
import { open } from './sdk.mjs';

const config = settings();
const calls = new Map();
const questions = new Map();
let asked = 0;
let arrived; // resolves the wait for an authorization code

// ask hands an elicitation to the test, unless the test has said beforehand
// what this client always answers.
function ask(params) {
  const elicitation = ++asked;
  say({ event: 'elicitation', elicitation, params });
  if (config.answer) return Promise.resolve({ action: config.answer });
  return new Promise((resolve) => questions.set(elicitation, resolve));
}

const hooks = {
  ask,
  notify: (notification) => say({ event: 'notification', ...notification }),
  stderr: (text) => say({ event: 'stderr', text }),
  authorize: (url) => say({ event: 'authorize', url: String(url) }),
  code: () => new Promise((resolve) => (arrived = resolve)),
};

// failure keeps what a program can read from an SDK's error: both SDKs put
// the elicitations of a -32042 into data.
function failure(error) {
  return { name: error?.constructor?.name, code: error?.code ?? null, message: String(error?.message ?? error), data: error?.data ?? null };
}

async function run(client, command) {
  switch (command.op) {
    case 'list':
      return client.list();
    case 'call': {
      const stop = new AbortController();
      calls.set(command.id, stop);
      return client.call(command.name, command.args ?? {}, { signal: stop.signal, timeout: command.timeout ?? 120_000 });
    }
    case 'close':
      return client.close();
    default:
      throw new Error(`no such op: ${command.op}`);
  }
}

const connected = open(config, hooks).catch((error) => {
  say({ event: 'failed', error: failure(error) });
  process.exit(1);
});

commands(async (command) => {
  if (command.op === 'answer') {
    const { action, content } = command;
    return questions.get(command.elicitation)?.(content ? { action, content } : { action });
  }
  if (command.op === 'cancel') return calls.get(command.id)?.abort('the test cancelled it');
  if (command.op === 'code') return arrived?.(command);
  try {
    say({ id: command.id, result: (await run(await connected, command)) ?? null });
  } catch (error) {
    say({ id: command.id, error: failure(error) });
  }
}, async () => (await connected).close()); // which also ends a server that the SDK has started

const client = await connected;
say({ event: 'ready', server: client.server(), version: client.version() });
