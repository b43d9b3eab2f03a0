import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { ToolbarButton } from '@graphiql/react';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';

import { subscriptionUrl, url } from './endpoint.js';
import { tabs } from './examples.js';
import { FillConnectionIds } from './fill-connection-ids.jsx';
import { storage } from './storage.js';

// The client for subscriptions is loaded and connected when the first
// subscription runs.
const fetcher = createGraphiQLFetcher({
  url,
  subscriptionUrl,
  enableIncrementalDelivery: false,
});

const plugins = [HISTORY_PLUGIN, explorerPlugin()];

function restoreExamples() {
  if (window.confirm('Replace all tabs by the examples?')) {
    for (const key of ['tabState', 'query', 'variables', 'headers', 'operationName']) {
      window.localStorage.removeItem(`graphiql:${key}`);
    }
    window.location.reload();
  }
}

export function App() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      storage={storage}
      defaultTabs={tabs}
      defaultQuery=""
      defaultEditorToolsVisibility="variables"
      isHeadersEditorEnabled
      shouldPersistHeaders={false}
      inputValueDeprecation
      schemaDescription
    >
      <GraphiQL.Logo>
        Sluice
        <FillConnectionIds />
      </GraphiQL.Logo>
      <GraphiQL.Toolbar>
        {({ prettify, copy, merge }) => (
          <>
            {prettify}
            {merge}
            {copy}
            <ToolbarButton label="Restore the example tabs" onClick={restoreExamples}>
              <RestoreIcon />
            </ToolbarButton>
          </>
        )}
      </GraphiQL.Toolbar>
    </GraphiQL>
  );
}

function RestoreIcon() {
  return (
    <svg
      className="graphiql-toolbar-icon"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d="M4 4v5h5" />
      <path d="M4.6 9A8 8 0 1 1 4 13" />
    </svg>
  );
}
