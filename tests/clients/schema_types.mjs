// Every type that a generator of schemas has and JSON has a form for: its schema defined, a value stored, read back by
// the generator's own library, and bad values refused at their place by both.
//
//     node schema_types.mjs PORT zod|zod-to-json-schema|typebox|sinclair-typebox|valibot

import assert from 'node:assert/strict'
import { createClient } from 'redis'

const [port, generator] = process.argv.slice(2)
const client = createClient({ url: `redis://127.0.0.1:${port}` })
await client.connect()
const call = (...words) => client.sendCommand(words.map(String))

const UUID = '6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11'
const AT = '2026-01-31T06:12:47.250Z'

// For each type: its schema, a value, and texts in JSON that are refused, with the place of the refusal below the member.
const generators = {
  async zod() {
    const z = await import('zod')
    const Tree = z.object({ name: z.string(), get children() { return z.array(Tree) }, get parent() { return Tree.optional() } })
    const Pet = z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('cat'), lives: z.int().min(0).max(9) }),
      z.object({ kind: z.enum(['dog', 'wolf']), name: z.string() }),
    ])
    const Address = z.strictObject({ town: z.string().min(1).max(20), zip: z.string().regex(/^\d{5}$/).nullable() })
    const Box = (content) => z.object({ content, more: z.array(content).readonly() })
    const types = {
      text: [z.string(), 'a "x" €', { 1: '', null: '' }],
      number: [z.number(), 0.1, { '"x"': '' }],
      integer: [z.int(), 2 ** 53 - 1, { 1.5: '', 9007199254740992: '' }],
      int32: [z.int32(), -(2 ** 31), { 2147483648: '' }],
      uint32: [z.uint32(), 2 ** 32 - 1, { '-1': '' }],
      float32: [z.float32(), 0.5, { '1e39': '' }],
      float64: [z.float64(), 1e300, { null: '' }],
      flag: [z.boolean(), true, { 1: '' }],
      nothing: [z.null(), null, { 0: '' }],
      anything: [z.any(), { a: [1, null] }, {}],
      unknown: [z.unknown(), [1], {}],
      json: [z.json(), { a: [1, { b: null }] }, {}],
      never: [z.never().optional(), undefined, { 1: '' }],
      bounds: [z.number().gt(0).lte(10).multipleOf(0.5), 10, { 0: '', 10.5: '', 0.25: '' }],
      positive: [z.number().positive(), 1, { 0: '' }],
      negative: [z.number().negative(), -1, { 0: '' }],
      lengths: [z.string().min(2).max(3), 'abc', { '"a"': '', '"abcd"': '' }],
      length: [z.string().length(2), 'ab', { '"a"': '' }],
      pattern: [z.string().regex(/^[A-Z]{2}-\d+$/), 'AB-12', { '"ab-12"': '' }],
      ahead: [z.string().regex(/^(?!draft)(?=.*\d)[a-z0-9-]+$/), 'final-1', { '"draft-1"': '', '"final"': '' }],
      starts: [z.string().startsWith('a.b'), 'a.bc', { '"axbc"': '' }],
      ends: [z.string().endsWith('$1'), 'x$1', { '"x$"': '' }],
      includes: [z.string().includes('[x]'), 'a[x]b', { '"x"': '' }],
      lower: [z.string().lowercase(), 'ab', { '"aB"': '' }],
      upper: [z.string().uppercase(), 'AB', { '"aB"': '' }],
      id: [z.uuid(), UUID, { '"6f1c"': '' }],
      id4: [z.uuidv4(), UUID, { '"6f1c1d3e-58a5-1c0e-9d0b-0a3d5a0c9b11"': '' }],
      guid: [z.guid(), UUID, { '"x"': '' }],
      cuid: [z.cuid(), 'cjld2cjxh0000qzrmn831i7rn', { '"-"': '' }],
      cuid2: [z.cuid2(), 'tz4a98xxat96iws9zmbrgj3a', { '"-"': '' }],
      ulid: [z.ulid(), '01ARZ3NDEKTSV4RRFFQ69G5FAV', { '"x"': '' }],
      xid: [z.xid(), '9m4e2mr0ui3e8a215n4g', { '"x"': '' }],
      ksuid: [z.ksuid(), '0ujtsYcgvSTl8PAuAdqWYSMnLOv', { '"x"': '' }],
      nanoid: [z.nanoid(), 'V1StGXR8_Z5jdHi6B-myT', { '"x"': '' }],
      email: [z.email(), 'ann@example.com', { '"ann"': '' }],
      url: [z.url(), 'https://example.com/x?y=1#z', { '"no url"': '' }],
      http: [z.httpUrl(), 'http://example.com', { '"x y"': '' }],
      ipv4: [z.ipv4(), '192.0.2.1', { '"256.0.0.1"': '' }],
      ipv6: [z.ipv6(), '2001:db8::1', { '"192.0.2.1"': '' }],
      cidrv4: [z.cidrv4(), '192.0.2.0/24', { '"192.0.2.0"': '' }],
      cidrv6: [z.cidrv6(), '2001:db8::/32', { '"x"': '' }],
      mac: [z.mac(), '00:1a:2b:3c:4d:5e', { '"x"': '' }],
      e164: [z.e164(), '+4915112345678', { '"0151"': '' }],
      base64: [z.base64(), 'AP8=', { '"-_"': '' }],
      base64url: [z.base64url(), '-_8', { '"+/"': '' }],
      hex: [z.hex(), '0aF', { '"x"': '' }],
      jwt: [z.jwt(), 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x', { 1: '' }],
      at: [z.iso.datetime(), AT, { '"2026-02-30T00:00:00Z"': '', '"noon"': '' }],
      at_offset: [z.iso.datetime({ offset: true, precision: 3 }), '2026-01-31T06:12:47.250+01:00', { '"2026-01-31T06:12:47Z"': '' }],
      day: [z.iso.date(), '2024-02-29', { '"2023-02-29"': '' }],
      literal: [z.literal(['a', 1, null, true]), 1, { 2: '', '"b"': '' }],
      constant: [z.literal('only'), 'only', { '"other"': '' }],
      choice: [z.enum(['red', 'green']), 'red', { '"blue"': '' }],
      native: [z.enum({ low: 1, high: 3, name: 'x' }), 3, { 2: '', '"low"': '' }],
      template: [z.templateLiteral(['v', z.int(), '.', z.enum(['a', 'b'])]), 'v1.a', { '"v1.c"': '' }],
      list: [z.array(z.int()).min(1).max(2), [1, 2], { '[]': '', '[1,2,3]': '', '[1,"x"]': '/1' }],
      filled: [z.array(z.string()).nonempty(), ['a'], { '[]': '' }],
      pair: [z.tuple([z.int(), z.string()]), [1, 'a'], { '[1]': '', '[1,"a",2]': '', '[1,2]': '/1' }],
      rest: [z.tuple([z.string()], z.int()), ['a', 1, 2], { '["a",1,"x"]': '/2', '[]': '' }],
      record: [z.record(z.string(), z.int()), { a: 1, 'b c': 2 }, { '{"a":"x"}': '/a', '[]': '' }],
      keyed: [z.record(z.string().regex(/^[a-z]+$/), z.array(z.int())), { ab: [1] }, { '{"ab":["x"]}': '/ab/0', '{"A":[]}': '' }],
      all_keys: [z.record(z.enum(['a', 'b']), z.int()), { a: 1, b: 2 }, { '{"a":1}': '', '{"a":1,"b":2,"c":3}': '' }],
      some_keys: [z.partialRecord(z.enum(['a', 'b']), z.int()), { a: 1 }, { '{"c":1}': '' }],
      address: [Address, { town: 'Ulm', zip: null }, { '{}': '', '{"town":"","zip":null}': '/town', '{"town":"Ulm","zip":"x"}': '/zip', '{"town":"Ulm","zip":null,"x":1}': '/x' }],
      loose: [z.looseObject({ n: z.int() }), { n: 1, more: 'x' }, { '{"n":"x"}': '/n' }],
      catchall: [z.object({ n: z.int() }).catchall(z.string()), { n: 1, more: 'x' }, { '{"n":1,"more":2}': '/more' }],
      partial: [Address.partial(), { town: 'Ulm' }, { '{"town":1}': '/town' }],
      picked: [Address.pick({ town: true }), { town: 'Ulm' }, { '{"town":"Ulm","zip":null}': '/zip' }],
      extended: [Address.extend({ n: z.int() }), { town: 'Ulm', zip: null, n: 1 }, { '{"town":"Ulm","zip":null,"n":"x"}': '/n' }],
      tree: [Tree, { name: 'a', children: [{ name: 'b', children: [], parent: { name: 'c', children: [] } }] }, { '{"name":"a","children":[{"name":1,"children":[]}]}': '/children/0/name' }],
      box: [Box(z.int()), { content: 1, more: [2] }, { '{"content":1,"more":["x"]}': '/more/0' }],
      maybe: [z.int().nullable(), null, { '"x"': '' }],
      maybe_address: [Address.nullable(), { town: 'Ulm', zip: null }, { '{"town":1,"zip":null}': '/town', '[]': '' }],
      maybe_list: [z.array(Address).nullish(), [{ town: 'Ulm', zip: '89073' }], { '[{"town":"Ulm","zip":7}]': '/0/zip' }],
      optional: [z.string().optional(), undefined, { 1: '' }],
      either: [z.union([z.int(), z.string().min(2)]), 'ab', { '"a"': '', true: '' }],
      xor: [z.xor([z.int(), z.string()]), 1, { '[]': '' }],
      both: [z.intersection(z.object({ a: z.int() }), z.object({ b: z.string() })), { a: 1, b: 'x' }, { '{"a":1}': '', '{"a":1,"b":2}': '/b' }],
      pet: [Pet, { kind: 'cat', lives: 9 }, { '{"kind":"cat","lives":10}': '/lives', '{"kind":"cow"}': '', '{"kind":"dog","name":1}': '/name' }],
      pets: [z.array(z.discriminatedUnion('kind', [Pet, z.object({ kind: z.literal('nested'), pet: Pet })])), [{ kind: 'nested', pet: { kind: 'wolf', name: 'w' } }], { '[{"kind":"nested","pet":{"kind":"cat","lives":-1}}]': '/0/pet/lives' }],
      branded: [z.string().brand('id').meta({ title: 'Id', description: 'd', examples: ['x'], deprecated: true }), 'x', { 1: '' }],
      caught: [z.int().catch(5), 5, {}],
      prefault: [z.string().prefault('x'), 'y', { 1: '' }],
    }
    const defaults = z.object({
      text: z.string().default('a'), list: z.array(z.int()).default([1]), address: Address.default({ town: 'Ulm', zip: null }),
      pet: Pet.default({ kind: 'cat', lives: 9 }), maybe: z.string().nullable().default(null),
    })
    const model = z.strictObject(Object.fromEntries(Object.entries(types).map(([name, [type]]) => [name, type])))
    return {
      types, defaults,
      schemas: [z.toJSONSchema(model, { io: 'input' }), z.toJSONSchema(model), z.toJSONSchema(model, { target: 'draft-7', reused: 'ref' })],
      defaultsSchema: z.toJSONSchema(defaults, { io: 'input' }),
      parse: (value) => model.parse(value), parseDefaults: (value) => defaults.parse(value),
    }
  },

  async 'zod-to-json-schema'() {
    const { z } = await import('zod/v3')
    const { zodToJsonSchema } = await import('zod-to-json-schema')
    const Tree = z.object({ name: z.string(), children: z.lazy(() => z.array(Tree)) })
    const Pet = z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('cat'), lives: z.number().int().min(0).max(9) }).strict(),
      z.object({ kind: z.literal('dog'), name: z.string() }),
    ])
    const Address = z.object({ town: z.string().min(1).max(20), zip: z.string().regex(/^\d{5}$/).nullable() }).strict()
    const types = {
      text: [z.string(), 'a', { 1: '', null: '' }],
      number: [z.number(), 0.1, { '"x"': '' }],
      integer: [z.number().int(), 5, { 1.5: '' }],
      big: [z.number().int().safe(), 5, { 9007199254740992: '' }],
      flag: [z.boolean(), true, { 1: '' }],
      nothing: [z.null(), null, { 0: '' }],
      anything: [z.any(), { a: [1, null] }, {}],
      unknown: [z.unknown(), [1], {}],
      bounds: [z.number().gt(0).lte(10).multipleOf(0.5), 10, { 0: '', 10.5: '', 0.25: '' }],
      lengths: [z.string().min(2).max(3), 'abc', { '"a"': '', '"abcd"': '' }],
      pattern: [z.string().regex(/^[A-Z]{2}-\d+$/), 'AB-12', { '"ab-12"': '' }],
      ahead: [z.string().regex(/^(?!draft)(?=.*\d)[a-z0-9-]+$/), 'final-1', { '"draft-1"': '', '"final"': '' }],
      starts: [z.string().startsWith('a.b'), 'a.bc', { '"axbc"': '' }],
      ends: [z.string().endsWith('$1'), 'x$1', { '"x$"': '' }],
      includes: [z.string().includes('[x]'), 'a[x]b', { '"x"': '' }],
      id: [z.string().uuid(), UUID, { '"6f1c"': '' }],
      cuid: [z.string().cuid(), 'cjld2cjxh0000qzrmn831i7rn', { '"-"': '' }],
      ulid: [z.string().ulid(), '01ARZ3NDEKTSV4RRFFQ69G5FAV', { '"x"': '' }],
      email: [z.string().email(), 'ann@example.com', { '"ann"': '' }],
      url: [z.string().url(), 'https://example.com/', { '"no url"': '' }],
      ip: [z.string().ip(), '192.0.2.1', { '"x"': '' }],
      ipv6: [z.string().ip({ version: 'v6' }), '2001:db8::1', { '"x"': '' }],
      base64: [z.string().base64(), 'AP8=', { 1: '' }],
      at: [z.string().datetime({ offset: true }), AT, { '"noon"': '' }],
      day: [z.string().date(), '2024-02-29', { '"2023-02-29"': '' }],
      span: [z.string().duration(), 'P1DT2H', { '"soon"': '' }],
      literal: [z.literal('only'), 'only', { '"other"': '' }],
      choice: [z.enum(['red', 'green']), 'red', { '"blue"': '' }],
      native: [z.nativeEnum({ low: 1, high: 3 }), 3, { 2: '' }],
      list: [z.array(z.number().int()).min(1).max(2), [1, 2], { '[]': '', '[1,2,3]': '', '[1,"x"]': '/1' }],
      pair: [z.tuple([z.number(), z.string()]), [1, 'a'], { '[1]': '', '[1,2]': '/1' }],
      rest: [z.tuple([z.string()]).rest(z.number()), ['a', 1], { '["a","x"]': '/1' }],
      record: [z.record(z.number()), { a: 1 }, { '{"a":"x"}': '/a' }],
      keyed: [z.record(z.string().regex(/^[a-z]+$/), z.number()), { ab: 1 }, { '{"ab":"x"}': '/ab' }],
      some_keys: [z.record(z.enum(['a', 'b']), z.number()), { a: 1 }, { '{"a":"x"}': '/a' }],
      address: [Address, { town: 'Ulm', zip: null }, { '{}': '', '{"town":"","zip":null}': '/town', '{"town":"Ulm","zip":null,"x":1}': '/x' }],
      loose: [z.object({ n: z.number() }).passthrough(), { n: 1, more: 'x' }, { '{"n":"x"}': '/n' }],
      catchall: [z.object({ n: z.number() }).catchall(z.string()), { n: 1, more: 'x' }, { '{"n":1,"more":2}': '/more' }],
      partial: [Address.partial(), { town: 'Ulm' }, { '{"town":1}': '/town' }],
      tree: [Tree, { name: 'a', children: [{ name: 'b', children: [] }] }, { '{"name":"a","children":[{"name":1,"children":[]}]}': '/children/0/name' }],
      maybe: [z.number().nullable(), null, { '"x"': '' }],
      maybe_address: [Address.nullable(), { town: 'Ulm', zip: null }, { '{"town":1,"zip":null}': '/town' }],
      maybe_list: [z.array(Address).nullish(), [{ town: 'Ulm', zip: null }], { '[{"town":"Ulm","zip":7}]': '/0/zip' }],
      optional: [z.string().optional(), undefined, { 1: '' }],
      either: [z.union([z.number().int(), z.string().min(2)]), 'ab', { '"a"': '', true: '' }],
      both: [z.intersection(z.object({ a: z.number() }), z.object({ b: z.string() })), { a: 1, b: 'x' }, { '{"a":1}': '', '{"a":1,"b":2}': '/b' }],
      pet: [Pet, { kind: 'cat', lives: 9 }, { '{"kind":"cat","lives":10}': '/lives', '{"kind":"cow"}': '', '{"kind":"dog","name":1}': '/name' }],
      pets: [z.array(Pet).readonly(), [{ kind: 'dog', name: 'x' }], { '[{"kind":"cat","lives":-1}]': '/0/lives' }],
      branded: [z.string().brand('id').describe('d'), 'x', { 1: '' }],
      piped: [z.string().pipe(z.string().min(2)), 'ab', { '"a"': '' }],
      caught: [z.number().catch(5), 5, {}],
    }
    const defaults = z.object({
      text: z.string().default('a'), list: z.array(z.number()).default([1]), address: Address.default({ town: 'Ulm', zip: null }),
      pet: Pet.default({ kind: 'cat', lives: 9 }), maybe: z.string().nullable().default(null),
    })
    const model = z.object(Object.fromEntries(Object.entries(types).map(([name, [type]]) => [name, type]))).strict()
    // For draft 2019-09 it writes bounds as draft 4 has them.
    const mixed = JSON.stringify(zodToJsonSchema(model, { target: 'jsonSchema2019-09' }))
    assert.equal((await refused('MODEL.DEFINE', 'mixed', mixed))[1].keyword, 'exclusiveMinimum')
    return {
      types, defaults,
      schemas: [zodToJsonSchema(model), zodToJsonSchema(model, { name: 'Model' })],
      defaultsSchema: zodToJsonSchema(defaults),
      parse: (value) => model.parse(value), parseDefaults: (value) => defaults.parse(value),
    }
  },

  async typebox() {
    const { Type } = await import('typebox')
    const { default: Value } = await import('typebox/value')
    const types = typeboxTypes(Type)
    types.tree[0] = Type.Cyclic({ Tree: Type.Object({ name: Type.String(), children: Type.Array(Type.Ref('Tree')) }) }, 'Tree')
    types.pair[2]['[1,"a",2]'] = '/2' // It counts no elements, and says of those behind the second that there are none.
    types.unsafe = [Type.Unsafe({ type: 'string', enum: ['a', 'b'] }), 'a', { '"c"': '' }]
    return typeboxModel(Type, Value, types)
  },

  async 'sinclair-typebox'() {
    const { Type, FormatRegistry } = await import('@sinclair/typebox')
    const { Value } = await import('@sinclair/typebox/value')
    const patterns = { email: /@/, uuid: /^[0-9a-f-]{36}$/, 'date-time': /^\d{4}-.*Z$/, date: /^\d{4}-\d\d-(?!3)\d\d$/, uri: /^\w+:\S+$/, ipv4: /^1\d*\./, duration: /^P/ }
    for (const [name, pattern] of Object.entries(patterns)) FormatRegistry.Set(name, (text) => pattern.test(text))
    const types = typeboxTypes(Type)
    types.tree[0] = Type.Recursive((This) => Type.Object({ name: Type.String(), children: Type.Array(This) }), { $id: 'Tree' })
    types.mapped = [Type.Mapped(Type.Union([Type.Literal('a'), Type.Literal('b')]), () => Type.Number()), { a: 1, b: 2 }, { '{"a":1}': '' }]
    types.composite = [Type.Composite([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.String() })]), { a: 1, b: 'x' }, { '{"a":1,"b":2}': '/b' }]
    types.not = [Type.Not(Type.String()), 1, { '"x"': '' }]
    return typeboxModel(Type, Value, types)
  },

  async valibot() {
    const v = await import('valibot')
    const { toJsonSchema } = await import('@valibot/to-json-schema')
    const Tree = v.object({ name: v.string(), children: v.array(v.lazy(() => Tree)) })
    const Pet = v.variant('kind', [
      v.object({ kind: v.literal('cat'), lives: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(9)) }),
      v.object({ kind: v.picklist(['dog', 'wolf']), name: v.string() }),
    ])
    const Address = v.strictObject({ town: v.pipe(v.string(), v.minLength(1), v.maxLength(20)), zip: v.nullable(v.pipe(v.string(), v.regex(/^\d{5}$/))) })
    const types = {
      text: [v.string(), 'a', { 1: '', null: '' }],
      number: [v.number(), 0.1, { '"x"': '' }],
      integer: [v.pipe(v.number(), v.integer()), 5, { 1.5: '' }],
      flag: [v.boolean(), true, { 1: '' }],
      nothing: [v.null(), null, { 0: '' }],
      anything: [v.any(), { a: [1, null] }, {}],
      unknown: [v.unknown(), [1], {}],
      bounds: [v.pipe(v.number(), v.gtValue(0), v.maxValue(10), v.multipleOf(0.5)), 10, { 0: '', 10.5: '', 0.25: '' }],
      exactly: [v.pipe(v.number(), v.value(7)), 7, { 8: '' }],
      lengths: [v.pipe(v.string(), v.minLength(2), v.maxLength(3)), 'abc', { '"a"': '', '"abcd"': '' }],
      length: [v.pipe(v.string(), v.length(2)), 'ab', { '"a"': '' }],
      not_empty: [v.pipe(v.string(), v.nonEmpty()), 'a', { '""': '' }],
      pattern: [v.pipe(v.string(), v.regex(/^[A-Z]{2}-\d+$/)), 'AB-12', { '"ab-12"': '' }],
      ahead: [v.pipe(v.string(), v.regex(/^(?!draft)(?=.*\d)[a-z0-9-]+$/)), 'final-1', { '"draft-1"': '', '"final"': '' }],
      id: [v.pipe(v.string(), v.uuid()), UUID, { '"6f1c"': '' }],
      email: [v.pipe(v.string(), v.email()), 'ann@example.com', { '"ann"': '' }],
      rfc_email: [v.pipe(v.string(), v.rfcEmail()), 'ann@example.com', { '"ann"': '' }],
      url: [v.pipe(v.string(), v.url()), 'https://example.com/', { '"no url"': '' }],
      ipv4: [v.pipe(v.string(), v.ipv4()), '192.0.2.1', { '"256.0.0.1"': '' }],
      ipv6: [v.pipe(v.string(), v.ipv6()), '2001:db8::1', { '"x"': '' }],
      base64: [v.pipe(v.string(), v.base64()), 'AP8=', { 1: '' }],
      decimal: [v.pipe(v.string(), v.decimal()), '1.5', { '"x"': '' }],
      digits: [v.pipe(v.string(), v.digits()), '15', { '"1.5"': '' }],
      hex: [v.pipe(v.string(), v.hexadecimal()), '0aF', { '"x"': '' }],
      hex_color: [v.pipe(v.string(), v.hexColor()), '#0aF', { '"red"': '' }],
      cuid2: [v.pipe(v.string(), v.cuid2()), 'tz4a98xxat96iws9zmbrgj3a', { '"-"': '' }],
      ulid: [v.pipe(v.string(), v.ulid()), '01ARZ3NDEKTSV4RRFFQ69G5FAV', { '"x"': '' }],
      nanoid: [v.pipe(v.string(), v.nanoid()), 'V1StGXR8_Z5jdHi6B-myT', { '"-!"': '' }],
      day: [v.pipe(v.string(), v.isoDate()), '2024-02-29', { '"29.2.2024"': '' }],
      at: [v.pipe(v.string(), v.isoTimestamp()), AT, { '"noon"': '' }],
      literal: [v.literal('only'), 'only', { '"other"': '' }],
      choice: [v.picklist(['red', 'green', 3]), 3, { '"blue"': '' }],
      native: [v.enum({ low: 1, high: 3 }), 3, { 2: '' }],
      list: [v.pipe(v.array(v.number()), v.minLength(1), v.maxLength(2)), [1, 2], { '[]': '', '[1,2,3]': '', '[1,"x"]': '/1' }],
      pair: [v.strictTuple([v.number(), v.string()]), [1, 'a'], { '[1]': '', '[1,"a",2]': '/2', '[1,2]': '/1' }],
      loose_pair: [v.looseTuple([v.number()]), [1, 'a'], { '["x"]': '/0' }],
      rest: [v.tupleWithRest([v.string()], v.number()), ['a', 1], { '["a","x"]': '/1' }],
      record: [v.record(v.string(), v.number()), { a: 1 }, { '{"a":"x"}': '/a' }],
      sized: [v.pipe(v.record(v.string(), v.number()), v.minEntries(1), v.maxEntries(2)), { a: 1 }, { '{}': '', '{"a":1,"b":2,"c":3}': '' }],
      address: [Address, { town: 'Ulm', zip: null }, { '{}': '', '{"town":"","zip":null}': '/town', '{"town":"Ulm","zip":null,"x":1}': '/x' }],
      loose: [v.looseObject({ n: v.number() }), { n: 1, more: 'x' }, { '{"n":"x"}': '/n' }],
      with_rest: [v.objectWithRest({ n: v.number() }, v.string()), { n: 1, more: 'x' }, { '{"n":1,"more":2}': '/more' }],
      partial: [v.partial(Address), { town: 'Ulm' }, { '{"town":1}': '/town' }],
      tree: [Tree, { name: 'a', children: [{ name: 'b', children: [] }] }, { '{"name":"a","children":[{"name":1,"children":[]}]}': '/children/0/name' }],
      maybe: [v.nullable(v.number()), null, { '"x"': '' }],
      maybe_address: [v.nullable(Address), { town: 'Ulm', zip: null }, { '{"town":1,"zip":null}': '/town' }],
      maybe_list: [v.nullish(v.array(Address)), [{ town: 'Ulm', zip: null }], { '[{"town":"Ulm","zip":7}]': '/0/zip' }],
      optional: [v.optional(v.string()), undefined, { 1: '' }],
      exact: [v.exactOptional(v.string()), undefined, { 1: '' }],
      either: [v.union([v.number(), v.pipe(v.string(), v.minLength(2))]), 'ab', { '"a"': '', true: '' }],
      both: [v.intersect([v.looseObject({ a: v.number() }), v.looseObject({ b: v.string() })]), { a: 1, b: 'x' }, { '{"a":1}': '', '{"a":1,"b":2}': '/b' }],
      pet: [Pet, { kind: 'cat', lives: 9 }, { '{"kind":"cat","lives":10}': '/lives', '{"kind":"cow"}': '', '{"kind":"dog","name":1}': '/name' }],
      pets: [v.array(Pet), [{ kind: 'wolf', name: 'x' }], { '[{"kind":"cat","lives":-1}]': '/0/lives' }],
      described: [v.pipe(v.string(), v.title('Id'), v.description('d'), v.metadata({ examples: ['x'] })), 'x', { 1: '' }],
    }
    const defaults = v.object({
      text: v.optional(v.string(), 'a'), list: v.optional(v.array(v.number()), [1]), address: v.optional(Address, { town: 'Ulm', zip: null }),
      pet: v.optional(Pet, { kind: 'cat', lives: 9 }), maybe: v.nullish(v.string(), null),
    })
    const model = v.strictObject(Object.fromEntries(Object.entries(types).map(([name, [type]]) => [name, type])))
    return {
      types, defaults,
      schemas: [toJsonSchema(model), toJsonSchema(model, { target: 'draft-2020-12' }), toJsonSchema(model, { typeMode: 'output' })],
      defaultsSchema: toJsonSchema(defaults),
      parse: (value) => v.parse(model, value), parseDefaults: (value) => v.parse(defaults, value),
    }
  },
}

// Types of both releases of TypeBox.
function typeboxTypes(Type) {
  const closed = { additionalProperties: false }
  const Address = Type.Object({ town: Type.String({ minLength: 1, maxLength: 20 }), zip: Type.Union([Type.String({ pattern: '^\\d{5}$' }), Type.Null()]) }, closed)
  const Pet = Type.Union([
    Type.Object({ kind: Type.Literal('cat'), lives: Type.Integer({ minimum: 0, maximum: 9 }) }),
    Type.Object({ kind: Type.Literal('dog'), name: Type.String() }),
  ])
  return {
    text: [Type.String(), 'a', { 1: '', null: '' }],
    number: [Type.Number(), 0.1, { '"x"': '' }],
    integer: [Type.Integer(), 5, { 1.5: '' }],
    flag: [Type.Boolean(), true, { 1: '' }],
    nothing: [Type.Null(), null, { 0: '' }],
    anything: [Type.Any(), { a: [1, null] }, {}],
    unknown: [Type.Unknown(), [1], {}],
    never: [Type.Optional(Type.Never()), undefined, { 1: '' }],
    bounds: [Type.Number({ exclusiveMinimum: 0, maximum: 10, multipleOf: 0.5 }), 10, { 0: '', 10.5: '', 0.25: '' }],
    lengths: [Type.String({ minLength: 2, maxLength: 3 }), 'abc', { '"a"': '', '"abcd"': '' }],
    pattern: [Type.String({ pattern: '^[A-Z]{2}-\\d+$' }), 'AB-12', { '"ab-12"': '' }],
    ahead: [Type.String({ pattern: '^(?!draft)(?=.*\\d)[a-z0-9-]+$' }), 'final-1', { '"draft-1"': '', '"final"': '' }],
    id: [Type.String({ format: 'uuid' }), UUID, { '"6f1c"': '' }],
    email: [Type.String({ format: 'email' }), 'ann@example.com', { '"ann"': '' }],
    url: [Type.String({ format: 'uri' }), 'https://example.com/', { '"no url"': '' }],
    ipv4: [Type.String({ format: 'ipv4' }), '192.0.2.1', { '"256.0.0.1"': '' }],
    at: [Type.String({ format: 'date-time' }), AT, { '"noon"': '' }],
    day: [Type.String({ format: 'date' }), '2024-02-29', { '"2023-02-30"': '' }],
    span: [Type.String({ format: 'duration' }), 'P1DT2H', { '"soon"': '' }],
    template: [Type.TemplateLiteral('v${1|2}'), 'v1', { '"v3"': '' }],
    literal: [Type.Literal('only'), 'only', { '"other"': '' }],
    choice: [Type.Enum({ red: 'red', three: 3 }), 3, { '"blue"': '' }],
    list: [Type.Array(Type.Integer(), { minItems: 1, maxItems: 2 }), [1, 2], { '[]': '', '[1,2,3]': '', '[1,"x"]': '/1' }],
    set: [Type.Array(Type.Integer(), { uniqueItems: true }), [1, 2], { '[1,1]': '' }],
    contains: [Type.Array(Type.Integer(), { contains: Type.Literal(3), minContains: 1, maxContains: 2 }), [1, 3], { '[1]': '', '[3,3,3]': '' }],
    pair: [Type.Tuple([Type.Number(), Type.String()]), [1, 'a'], { '[1]': '', '[1,"a",2]': '', '[1,2]': '/1' }],
    record: [Type.Record(Type.String(), Type.Number()), { a: 1 }, { '{"a":"x"}': '/a' }],
    keyed: [Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.Number(), closed), { ab: 1 }, { '{"ab":"x"}': '/ab', '{"A":1}': '/A' }],
    some_keys: [Type.Record(Type.Union([Type.Literal('a'), Type.Literal('b')]), Type.Number()), { a: 1, b: 2 }, { '{"a":1}': '', '{"a":1,"b":"x"}': '/b' }],
    address: [Address, { town: 'Ulm', zip: null }, { '{}': '', '{"town":"","zip":null}': '/town', '{"town":"Ulm","zip":null,"x":1}': '/x' }],
    catchall: [Type.Object({ n: Type.Number() }, { additionalProperties: Type.String() }), { n: 1, more: 'x' }, { '{"n":1,"more":2}': '/more' }],
    sized: [Type.Object({}, { minProperties: 1, maxProperties: 2 }), { a: 1 }, { '{}': '', '{"a":1,"b":2,"c":3}': '' }],
    partial: [Type.Partial(Address), { town: 'Ulm' }, { '{"town":1}': '/town' }],
    picked: [Type.Pick(Address, ['town']), { town: 'Ulm' }, { '{"town":1}': '/town' }],
    omitted: [Type.Omit(Address, ['zip']), { town: 'Ulm' }, { '{}': '' }],
    key: [Type.KeyOf(Address), 'zip', { '"x"': '' }],
    index: [Type.Index(Address, ['town']), 'Ulm', { 1: '' }],
    tree: [undefined, { name: 'a', children: [{ name: 'b', children: [] }] }, { '{"name":"a","children":[{"name":1,"children":[]}]}': '/children/0/name' }],
    maybe: [Type.Union([Type.Number(), Type.Null()]), null, { '"x"': '' }],
    maybe_address: [Type.Union([Address, Type.Null()]), { town: 'Ulm', zip: null }, { '{"town":1,"zip":null}': '/town' }],
    maybe_list: [Type.Optional(Type.Union([Type.Array(Address), Type.Null()])), [{ town: 'Ulm', zip: null }], { '[{"town":"Ulm","zip":7}]': '/0/zip' }],
    optional: [Type.Optional(Type.String()), undefined, { 1: '' }],
    either: [Type.Union([Type.Integer(), Type.String({ minLength: 2 })]), 'ab', { '"a"': '', true: '' }],
    both: [Type.Intersect([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.String() })], { unevaluatedProperties: false }), { a: 1, b: 'x' }, { '{"a":1}': '', '{"a":1,"b":2}': '/b', '{"a":1,"b":"x","c":1}': '/c' }],
    pet: [Pet, { kind: 'cat', lives: 9 }, { '{"kind":"cat","lives":10}': '/lives', '{"kind":"cow"}': '', '{"kind":"dog","name":1}': '/name' }],
    pets: [Type.Readonly(Type.Array(Pet)), [{ kind: 'dog', name: 'x' }], { '[{"kind":"cat","lives":-1}]': '/0/lives' }],
    excluded: [Type.Exclude(Type.Union([Type.Literal('a'), Type.Literal('b')]), Type.Literal('a')), 'b', { '"a"': '' }],
    upper: [Type.Uppercase(Type.Literal('ab')), 'AB', { '"ab"': '' }],
    described: [Type.String({ $id: 'described', title: 'D', description: 'd', examples: ['x'], deprecated: true }), 'x', { 1: '' }],
  }
}

function typeboxModel(Type, Value, types) {
  const model = Type.Object(Object.fromEntries(Object.entries(types).map(([name, [type]]) => [name, type])), { additionalProperties: false })
  const defaults = Type.Object({
    text: Type.String({ default: 'a' }), list: Type.Array(Type.Number(), { default: [1] }),
    pet: Type.Object({ kind: Type.String({ default: 'cat' }) }, { default: {} }),
  })
  const parse = (schema) => (value) => {
    assert.ok(Value.Check(schema, value))
    return value
  }
  // TypeBox names no draft, and writes tuples as draft 2019-09 has them.
  const $schema = 'https://json-schema.org/draft/2019-09/schema'
  return {
    types, defaults, schemas: [{ $schema, ...model }], defaultsSchema: Type.Partial(defaults),
    parse: parse(model), parseDefaults: (value) => parse(defaults)(Value.Default(defaults, value)),
  }
}

async function refused(...words) {
  let reply
  try {
    reply = await call(...words)
  } catch (error) {
    const [word] = error.message.split(' ', 1)
    return [word, JSON.parse(error.message.slice(word.length))]
  }
  assert.fail(`${words} gave ${reply}`)
}

function isRefused(parse, value) {
  try {
    parse(value)
  } catch {
    return true
  }
  return false
}

const { types, schemas, defaultsSchema, parse, parseDefaults } = await generators[generator]()
const value = JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(types).map(([name, [, value]]) => [name, value]))))
const parsed = parse(value)
for (const [nth, schema] of schemas.entries()) {
  const [model, key] = [`${generator}:${nth}`, `${generator}:${nth}:1`]
  await call('MODEL.DEFINE', model, JSON.stringify(schema))
  await call('MODEL.SET', key, model, JSON.stringify(value))
  const stored = await call('MODEL.GET', key)
  assert.deepEqual(parse(JSON.parse(stored)), parsed)
  assert.deepEqual(JSON.parse(stored), value)
  for (const [name, [, , bad]] of Object.entries(types)) {
    for (const [text, place] of Object.entries(bad)) {
      const told = `${model} ${name} ${text}`
      const [word, error] = await refused('MODEL.FIELDOP', key, 'SET', `$.${name}`, text)
      assert.deepEqual([word, error.place], ['SCHEMA', `/${name}${place}`], `${told} ${JSON.stringify(error)}`)
      const whole = { ...value, [name]: JSON.parse(text) }
      assert.equal((await refused('MODEL.SET', key, model, JSON.stringify(whole)))[1].place, error.place, told)
      assert.ok(isRefused(parse, whole), told)
    }
    if (name in value) await call('MODEL.FIELDOP', key, 'SET', `$.${name}`, JSON.stringify(value[name]))
  }
  const [, error] = await refused('MODEL.FIELDOP', key, 'SET', '$.no_such', '1')
  assert.deepEqual([error.place, error.keyword], ['/no_such', 'additionalProperties'])
  assert.equal(await call('MODEL.GET', key), stored)
}

// Members left out are filled in, as the library does.
await call('MODEL.DEFINE', `${generator}:defaults`, JSON.stringify(defaultsSchema))
await call('MODEL.SET', `${generator}:d`, `${generator}:defaults`, '{}')
const filled = JSON.parse(await call('MODEL.GET', `${generator}:d`))
assert.deepEqual(parseDefaults(filled), parseDefaults({}))

await client.close()
console.log('ok')
