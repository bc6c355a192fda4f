// Players of a game whose model is written in Zod and kept by the server.
//
//     node zod_model.mjs PORT [2|3]        RESP2 or RESP3
//
// docs/models.md shows pieces of this program; a test runs it against every server.

import assert from 'node:assert/strict'
import { createClient } from 'redis'
import * as z from 'zod'

const [port, protocol = '3'] = process.argv.slice(2)
const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP: Number(protocol) })
await client.connect()
const call = (...words) => client.sendCommand(words.map(String))

const Thing = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('weapon'), damage: z.int().min(1).max(100) }),
  z.strictObject({ type: z.literal('potion'), charges: z.int().min(1).default(3) }),
])

const Zone = z.object({
  name: z.string().min(1),
  get zones() { return z.array(Zone).default([]) }, // Zones lie in zones.
})

const Player = z.strictObject({
  id: z.uuid(),
  email: z.email(),
  joined: z.iso.datetime({ offset: true }),
  name: z.string().min(1).max(20),
  class: z.enum(['mage', 'thief']),
  gold: z.int().min(0).default(0),
  luck: z.number().gte(0).lt(1).default(0.5),
  home: z.object({ town: z.string(), at: z.tuple([z.number(), z.number()]) }).optional(),
  bag: z.array(Thing).max(3).default([]),
  tags: z.record(z.string().regex(/^[a-z]+$/), z.array(z.string())).default({}),
  guild: z.union([z.string().min(2), z.int()]).nullable().default(null),
  world: Zone.default({ name: 'earth', zones: [] }),
})

const schema = JSON.stringify(z.toJSONSchema(Player, { io: 'input' }))
const version = await call('MODEL.DEFINE', 'player', schema,
  'RULE', 'mages carry no weapons', "self.class != 'mage' || self.bag.all(thing, thing.type != 'weapon')",
  'RULE', 'keeps the name', 'self.name == oldSelf.name')
assert.equal(version, 1)

// The code of a refusal, and its object of details.
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

const ann = {
  id: '6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11',
  email: 'ann@example.com',
  joined: '2026-11-21T06:12:47+01:00',
  name: 'Ann',
  class: 'mage',
  bag: [{ type: 'potion' }],
}
await call('MODEL.SET', 'player:ann', 'player', JSON.stringify(ann))

const stored = Player.parse(JSON.parse(await call('MODEL.GET', 'player:ann')))
assert.equal(stored.gold, 0) // The model's default.

let [word, error] = await refused('MODEL.FIELDOP', 'player:ann', 'INCR', '$.gold', -1)
assert.equal(word, 'SCHEMA')
assert.deepEqual([error.place, error.keyword], ['/gold', 'minimum'])

const staff = JSON.stringify([{ type: 'weapon', damage: 7 }]);
[word, error] = await refused('MODEL.FIELDOP', 'player:ann', 'APPEND', '$.bag', staff)
assert.equal(word, 'RULE')
assert.equal(error.rule, 'mages carry no weapons')
assert.equal(error.values['self.class'], 'mage')

assert.equal((await refused('MODEL.FIELDOP', 'player:ann', 'SET', '$.name', '"Bob"'))[1].rule, 'keeps the name');

// A condition is part of one command; a rule applies to every command.
[word, error] = await refused('MODEL.FIELDOP', 'player:ann', 'ARGS', '{"price":25}',
  'IF', 'self.gold >= args.price', 'INCR', '$.gold', -25)
assert.equal(word, 'CONDITION')
assert.deepEqual(error.values, { 'self.gold': 0, 'args.price': 25 })

assert.deepEqual(
  await call('MODEL.FIELDOP', 'player:ann', 'INCR', '$.gold', 30,
    'WHEN', 'self.gold >= 100', 'SET', '$.class', '"thief"',
    'EVAL', '$.luck', 'math.least(0.99, value + self.gold / 100.0)'),
  ['30', null, '0.8'])

const text = async (key) => await call('MODEL.GET', key)

// The server's verdict on a change, 'accepted' or 'keyword at place'. It has to equal Zod's.
async function check(expected, ...statements) {
  const before = await text('player:ann')
  await call('MODEL.SET', 'unjudged', 'any', before)
  await call('MODEL.FIELDOP', 'unjudged', ...statements)
  const changed = await text('unjudged')
  assert.equal(Player.safeParse(JSON.parse(changed)).success, expected === 'accepted', statements.join(' '))
  if (expected === 'accepted') {
    await call('MODEL.FIELDOP', 'player:ann', ...statements)
    assert.equal(await text('player:ann'), changed)
  } else {
    const [word, error] = await refused('MODEL.FIELDOP', 'player:ann', ...statements)
    assert.deepEqual([word, `${error.keyword} at ${error.place}`], ['SCHEMA', expected], statements.join(' '))
    assert.equal(await text('player:ann'), before)
  }
}

// Lists of a discriminated union.
await check('accepted', 'SET', '$.bag[0].charges', 1)
await check('minimum at /bag/0/charges', 'INCR', '$.bag[0].charges', -1)
await check('required at /bag/0', 'SET', '$.bag[0].type', '"weapon"')
await check('additionalProperties at /bag/0/damage', 'SET', '$.bag[0].damage', 5)
await check('accepted', 'SET', '$.class', '"thief"', 'APPEND', '$.bag', staff)
await check('accepted', 'SET', '$.bag[1]', '{"type":"weapon","damage":100}')
await check('maximum at /bag/1/damage', 'INCR', '$.bag[?@.type=="weapon"].damage', 1)
await check('type at /bag/1/damage', 'INCR', '$.bag[1].damage', -0.5)
await check('oneOf at /bag/2', 'APPEND', '$.bag', '[{"type":"hat"}]')
await check('accepted', 'APPEND', '$.bag', staff)
await check('maxItems at /bag', 'APPEND', '$.bag', staff)
await check('accepted', 'POP', '$.bag', -1)

// Enums, formats (of which Zod writes a pattern as well), unions, numbers with bounds.
await check('enum at /class', 'SET', '$.class', '"bard"')
await check('pattern at /email', 'SET', '$.email', '"ann at example.com"')
await check('pattern at /id', 'STRAPPEND', '$.id', '"0"')
await check('pattern at /joined', 'SET', '$.joined', '"2026-02-29T00:00:00Z"')
await check('accepted', 'TIMEADD', '$.joined', '36h')
await check('accepted', 'SET', '$.guild', '"owls"')
await check('minLength at /guild', 'SET', '$.guild', '"o"')
await check('accepted', 'SET', '$.guild', 7)
await check('accepted', 'INCR', '$.guild', 1)
await check('anyOf at /guild', 'INCR', '$.guild', 0.5)
await check('accepted', 'SET', '$.guild', 'null')
await check('exclusiveMaximum at /luck', 'SET', '$.luck', 1)
await check('type at /gold', 'INCR', '$.gold', 0.5)
await check('maximum at /gold', 'SET', '$.gold', '9007199254740992')

// Optional objects, tuples, records, and a model that contains itself.
await check('required at /home', 'SET', '$.home', '{"town":"Ys"}')
await check('accepted', 'SET', '$.home', '{"town":"Ys","at":[48.1,-4]}')
await check('accepted', 'INCR', '$.home.at[0]', 0.5)
await check('minItems at /home/at', 'POP', '$.home.at', 0)
await check('type at /home/at/1', 'SET', '$.home.at[1]', '"west"')
await check('maxItems at /home/at', 'APPEND', '$.home.at', '[3]')
await check('accepted', 'DEL', '$.home')
await check('accepted', 'SET', '$.tags.seen', '["sea"]')
await check('type at /tags/seen/1', 'APPEND', '$.tags.seen', '[1]')
await check('propertyNames at /tags', 'SET', '$.tags["not seen"]', '[]')
await check('accepted', 'APPEND', '$.world.zones', '[{"name":"isle","zones":[{"name":"bay"}]}]')
await check('type at /world/zones/0/zones/0/name', 'SET', '$.world.zones[0].zones[0].name', 1)
await check('minLength at /world/zones/0/zones/0/name', 'CLEAR', '$..zones[?@.name=="bay"].name')
await check('required at /world/zones/0/zones/0', 'SET', '$.world.zones[0].zones[0].zones', '[{}]',
  'DEL', '$.world.zones[0].zones[0].name')

// Unknown members are refused, and the document is validated as it is at the end of the command.
await check('additionalProperties at /score', 'SET', '$.score', 1)
await check('required at ', 'DEL', '$.email')
await check('accepted', 'DEL', '$.email', 'SET', '$.email', '"ann@example.org"')

// In Zod's output a member with a default is always present: it is filled in, in alternatives too.
await call('MODEL.DEFINE', 'parsed', JSON.stringify(z.toJSONSchema(Player)))
await call('MODEL.SET', 'player:bob', 'parsed', JSON.stringify(ann))
assert.deepEqual(JSON.parse(await text('player:bob')), Player.parse(ann))

// Patterns with look-around behind their start are refused. Where Zod writes one for a format, the format suffices.
const Session = z.object({ user: z.string(), idle: z.iso.duration().default('PT30M'), hits: z.int().default(0) })
assert.equal((await refused('MODEL.DEFINE', 'session', JSON.stringify(z.toJSONSchema(Session))))[0], 'ERR')
const sessions = z.toJSONSchema(Session, {
  io: 'input',
  override({ jsonSchema }) { if (jsonSchema.format) delete jsonSchema.pattern },
})

// A model can give its documents a time to live.
await call('MODEL.DEFINE', 'session', JSON.stringify(sessions), 'TTL', 1800, 'REFRESH', 'READ')
await call('MODEL.FIELDOP', 'session:1', 'INIT', 'session', '{"user":"ann"}', 'INCR', '$.hits', 1)
assert.equal((await refused('MODEL.FIELDOP', 'session:1', 'SET', '$.idle', '"half an hour"'))[1].keyword, 'format')
assert.ok(await client.ttl('session:1') > 1700)

await client.close()
console.log('ok')
