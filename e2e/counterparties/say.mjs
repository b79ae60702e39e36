// How every script here talks to the Go tests: one JSON value a line on
// stdout, and the end of stdin is the order to stop, so that nothing outlives
// a test run that was cut off.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

export function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

// settings reads the JSON object that the test gave as the only argument.
export function settings() {
  return JSON.parse(process.argv[2] ?? '{}');
}

// commands calls handle for each JSON line on stdin. At its end, or when told
// to terminate, it waits for end and exits.
export function commands(handle = () => {}, end = () => {}) {
  const stop = async () => {
    await Promise.race([Promise.resolve(end()).catch(() => {}), new Promise((resolve) => setTimeout(resolve, 6000))]);
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => line.trim() && handle(JSON.parse(line)));
  lines.once('close', stop);
}

// freePort answers a loopback port that was free a moment ago, for servers
// that must know their own address before they listen.
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
