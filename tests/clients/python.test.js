// The Python client gql, in an environment of its own.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { start } from './server.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const run = (program, args) => spawnSync(program, args, { cwd: here, encoding: 'utf8' });

let server;
before(async () => {
  server = await start();
});
after(() => server.stop());

test('gql, over HTTP and over a WebSocket', (context) => {
  const made = run('python3', ['-m', 'venv', '.venv']);
  if (made.status !== 0) {
    console.error('NOT CHECKED WITH PYTHON: there is no python3 that makes environments (venv)');
    context.skip();
    return;
  }
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'];
  for (const args of [install, ['python_gql.py', server.url, server.token]]) {
    const { status, stdout, stderr } = run('.venv/bin/python', args);
    assert.equal(status, 0, stdout + stderr);
  }
});
