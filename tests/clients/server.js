// A server of the built program, on a database of its own, with a token for whoever asks.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const target = process.env.CARGO_TARGET_DIR ?? new URL('../../target', import.meta.url).pathname;
const program = join(target, 'debug', 'sluice');

// A connection of a name, and the smallest batch on it.
const CONNECT = `mutation ($name: String!) {
  createConnection(input: { name: $name, provider: "csv" }) { connection { id } } }`;
const CREATE = `mutation ($id: ID!) {
  createBatch(input: { sourceConnectionId: $id, destinationConnectionId: $id,
    jobs: [{ type: EXTRACT, object: "a" }] }) { batch { id } } }`;

// Starts a server that serves who shows its token. It ends with `stop`.
export function start() {
  const directory = makeDirectory();
  const create = ['token', 'create', '--name', 'client', '--role', 'admin', '--all-tenants'];
  const options = { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] };
  return serve(directory, execFileSync(program, create, options).toString().trim());
}

// Starts a server that serves whoever is on this machine.
export function startAtHome() {
  return serve(makeDirectory(), null);
}

const makeDirectory = () => mkdtempSync(join(tmpdir(), 'sluice-clients-'));

async function serve(directory, token) {
  const child = spawn(program, ['serve', '--bind', '127.0.0.1:0'], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  const { value: greeting } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  const url = greeting.match(/http:\/\/[^,]*/)[0];
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  // Runs an operation without any client, and gives its data.
  async function ask(query, variables) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()).data;
  }
  return {
    url,
    token,
    headers,
    ask,
    // Makes a batch, on a connection of this name, and gives its id.
    async makeBatch(name) {
      const { id } = (await ask(CONNECT, { name })).createConnection.connection;
      return (await ask(CREATE, { id })).createBatch.batch.id;
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true });
    },
  };
}
