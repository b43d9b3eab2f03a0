// GraphiQL, as somebody uses it in a browser.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { start, startAtHome } from './server.js';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const installed = BROWSERS.find((name) => spawnSync(name, ['--version']).status === 0);
const unchecked = installed ? false : `none of ${BROWSERS.join(', ')} is installed`;
if (unchecked) {
  console.error(`NOT CHECKED WITH A BROWSER: ${unchecked}`);
}

// How long anything may take, in milliseconds. It is only there so that a test that waits for ever fails.
const PATIENCE = 20_000;

let browser;
before(async () => {
  if (installed) {
    const executablePath = spawnSync('which', [installed], { encoding: 'utf8' }).stdout.trim();
    // Where the tests run as root, the browser has no sandbox.
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  }
});
after(() => browser?.close());

// Opens GraphiQL as a new visitor does. What the browser complains of is collected: also what breaks the content
// security policy, which it reports on the console.
async function open(server) {
  const page = await browser.newPage({ permissions: ['clipboard-read', 'clipboard-write'] });
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      complaints.push(message.text());
    }
  });
  const introspected = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.goto(new URL('/graphiql', server.url).href);
  await introspected;
  await page.locator(`${QUERY} .view-line`, { hasText: 'mutation CreateConnections' }).waitFor();
  return { page, complaints };
}

const QUERY = '[data-uri$="operation.graphql"]';
const HEADERS = '[data-uri$="request-headers.json"]';

// Puts a text in the place of what is in an editor. It is pasted: the editor closes the brackets of who types.
async function write(page, editor, text) {
  await page.locator(editor).click();
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.press('ControlOrMeta+V');
}

// Runs what is in the editor, and waits for an answer with this in it.
async function run(page, expected) {
  await page.locator('.graphiql-execute-button').click();
  await page.locator('.graphiql-response .view-line', { hasText: expected }).first().waitFor();
}

// What the page remembers, once this is among it: it does not do so at once.
async function remembered(page, expected) {
  await page.waitForFunction((text) => JSON.stringify(window.localStorage).includes(text), expected);
  return page.evaluate(() => JSON.stringify(window.localStorage));
}

test('GraphiQL runs its first example and shows the documentation', { skip: unchecked }, async (context) => {
  const server = await startAtHome();
  context.after(() => server.stop());
  const { page, complaints } = await open(server);
  await run(page, 'connection_');
  const { connections } = await server.ask('{ connections { nodes { name } } }');
  assert.deepEqual(connections.nodes.map(({ name }) => name).sort(), ['crm', 'warehouse']);

  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByRole('link', { name: 'Query', exact: true }).click();
  await docs.getByRole('link', { name: 'batches', exact: true }).waitFor();

  const credentials = '{ password: "hunter2" }';
  const mutation = `mutation Seal { createConnection(input: { name: "x", provider: "csv", credentials: ${credentials} }) {
    connection { hasCredentials } } }`;
  await write(page, QUERY, mutation);
  await page.locator('.graphiql-tab', { hasText: 'Seal' }).waitFor();
  await run(page, 'true');
  await write(page, QUERY, 'query Viewer { viewer { name } }');
  await page.locator('.graphiql-tab', { hasText: 'Viewer' }).waitFor();
  await run(page, 'viewer');
  const kept = await remembered(page, 'viewer');
  assert.ok(!kept.includes('hunter2'), kept);
  assert.deepEqual(complaints, []);
  await page.close();
});

test('GraphiQL keeps no token', { skip: unchecked }, async (context) => {
  const server = await start();
  context.after(() => server.stop());
  const { page } = await open(server);
  await page.getByRole('button', { name: 'Headers' }).click();
  await write(page, HEADERS, JSON.stringify(server.headers));
  await run(page, 'connection_');
  await page.getByRole('button', { name: 'New tab' }).click();
  const kept = await remembered(page, 'activeTabIndex\\":5');
  assert.ok(!kept.includes(server.token), kept);
  await page.close();
});
