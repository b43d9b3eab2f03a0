import { pick, useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';

import { ask } from './endpoint.js';
import { DESTINATION, SOURCE } from './examples.js';

const QUERY = '{ connections(first: 50) { nodes { id name archivedAt } } }';

// The connections of the first example where they exist, otherwise the first two.
async function sourceAndDestination() {
  const data = await ask(QUERY);
  const nodes = (data?.connections?.nodes ?? []).filter((node) => !node.archivedAt);
  const named = (name) => nodes.find((node) => node.name === name);
  const warehouse = named('warehouse');
  const source = named('crm') ?? nodes.find((node) => node !== warehouse);
  const destination = warehouse ?? nodes.find((node) => node !== source);
  return source && destination ? { source: source.id, destination: destination.id } : null;
}

// Puts the ids of two connections in the place of the placeholders in the
// variables, whenever a tab that still has them is opened. Variables that were
// edited by hand are left alone.
export function FillConnectionIds() {
  const { activeTabIndex, variableEditor } = useGraphiQL(pick('activeTabIndex', 'variableEditor'));

  useEffect(() => {
    let current = true;
    const hasPlaceholders = () => {
      const text = variableEditor?.getValue() ?? '';
      return text.includes(SOURCE) && text.includes(DESTINATION);
    };
    async function fill() {
      const ids = await sourceAndDestination();
      if (ids && current && hasPlaceholders()) {
        variableEditor.setValue(
          variableEditor
            .getValue()
            .replace(SOURCE, () => ids.source)
            .replace(DESTINATION, () => ids.destination),
        );
      }
    }
    if (hasPlaceholders()) {
      fill();
    }
    return () => {
      current = false;
    };
  }, [activeTabIndex, variableEditor]);

  return null;
}
