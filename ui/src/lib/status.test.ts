/** The types in `status.ts` say what the gateway's own description of its API says. */
import { describe, expect, it } from 'vitest';
import api from '../../../gateway/src/web/openapi.golden.json' with { type: 'json' };
import { SCENARIOS, mockStatus } from '../../dev/mock-status.ts';
import { text } from './text.ts';

interface Schema {
  $ref?: string;
  type?: string | string[];
  required?: string[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
}

const schemas = api.components.schemas as unknown as Record<string, Schema>;

function resolve(schema: Schema): Schema {
  return schema.$ref ? schemas[schema.$ref.split('/').at(-1) ?? '']! : schema;
}

/** What in a value is not as described. */
function differences(value: unknown, described: Schema, at: string): string[] {
  const schema = resolve(described);
  if (schema.enum) return schema.enum.includes(value) ? [] : [`${at}: ${String(value)}`];
  if (Array.isArray(value)) {
    return value.flatMap((item) => differences(item, schema.items ?? {}, `${at}[]`));
  }
  if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>;
    const missing = (schema.required ?? []).filter((name) => !(name in members));
    return [
      ...missing.map((name) => `${at}.${name}: missing`),
      ...Object.entries(members).flatMap(([name, member]) => {
        const inner = schema.properties?.[name] ?? schema.additionalProperties;
        if (inner) return differences(member, inner, `${at}.${name}`);
        return schema.properties ? [`${at}.${name}: not described`] : [];
      }),
    ];
  }
  const type = typeof value === 'number' ? ['number', 'integer'] : [typeof value];
  const allowed = [schema.type ?? type].flat();
  return type.some((each) => allowed.includes(each)) ? [] : [`${at}: ${typeof value}`];
}

describe('the API as described', () => {
  it.each(SCENARIOS)('is what the invented gateway speaks when %s', (scenario) => {
    const status = mockStatus(scenario, 30, 20);
    expect(differences(status, schemas['Status']!, 'status')).toEqual([]);
  });

  it('notices a member that is missing, another kind, or not described', () => {
    const { gateway: _, ...rest } = mockStatus('running', 30);
    const wrong: Record<string, unknown> = { ...rest, simulated: 'yes', surprise: 1 };
    expect(differences(wrong, schemas['Status']!, 'status')).toEqual([
      'status.gateway: missing',
      'status.simulated: string',
      'status.surprise: not described',
    ]);
  });

  it('has a word for each of its states', () => {
    const states = resolve(schemas['LineStatus']!.properties!['state']!).enum;
    expect(Object.keys(text.lineState).sort()).toEqual([...states!].sort());
    expect(Object.keys(text.uplink.state).sort()).toEqual(
      [...schemas['UplinkState']!.enum!].sort(),
    );
  });
});
