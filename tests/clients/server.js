// A server of the built program, on a database of its own, with a token for whoever asks.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const target = process.env.CARGO_TARGET_DIR ?? new URL('../../target', import.meta.url).pathname;
const program = join(target, 'debug', 'sluice');

// Starts a server. It ends with `stop`.
export async function start() {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-clients-'));
  const options = { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] };
  const create = ['token', 'create', '--name', 'client', '--role', 'admin', '--all-tenants'];
  const token = execFileSync(program, create, { ...options, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
  const child = spawn(program, ['serve', '--bind', '127.0.0.1:0'], options);
  const { value: greeting } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  const url = greeting.match(/http:\/\/[^,]*/)[0];
  return {
    url,
    token,
    headers: { authorization: `Bearer ${token}` },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true });
    },
  };
}
