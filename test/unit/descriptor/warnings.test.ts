import t from 'tap'
import { readServices } from '../../../descriptor/read.js'
import { least, refusal } from './sample.js'

const NBSP = '\u00a0'

/** Each warning as `line:column field: message`, by service. */
const warnings = (text: string): string[][] =>
  readServices(text).map(service =>
    service.warnings.map(({ field, message, line, column }) => `${line}:${column} ${field}: ${message}`)
  )

const meant = (field: string) => `there is no such field, and it is passed on as it is: did you mean ${field}?`
const readAs = (kind: string, source: string) => `this was read as ${kind}: put quotes around it to keep "${source}"`

t.test('a descriptor that says what it means has no warnings', async t => {
  const full = `${least}port: 0x50
replicas: 2.0
placement: pack
requirements: {cpu: 1.0, memory: 1e2, gpu: 1, vgpus: 0}
rollout: {max_surge: 1.0}
environment: {A: 1.1, B: "1.10", C: 8080, D: true, E: text, F: 1.10 beta, G: , H: ~}
cmd: [sh, -c, 'x']
mode: fast
added_files: []
note: |
  ${NBSP}a text may begin as it likes
`
  t.same(warnings(full), [[]])
})

t.test('a field that resembles one of ours is told, and kept', async t => {
  for (const [written, field] of [
    ['replica', 'replicas'],
    ['Replicas', 'replicas'],
    ['ports', 'port'],
    ['clusterLocation', 'cluster_location'],
    ['cluster-location', 'cluster_location'],
    ['fail_over', 'failover'],
    ['enviroment', 'environment'],
    ['rr_ip', 'RR_ip'],
    ['RRip', 'RR_ip'],
    ['replcias', 'replicas'],
    ['clsuter_location', 'cluster_location'],
    ['env', 'environment'],
    ['command', 'cmd'],
    ['resources', 'requirements'],
    ['memory', 'requirements.memory'],
    ['cpu', 'requirements.cpu']
  ] as const) {
    const text = `${least}${written}: x\n`
    t.same(warnings(text), [[`6:1 ${written}: ${meant(field)}`]])
    t.match(readServices(text), [{ descriptor: { [written]: 'x' } }])
  }
  t.same(warnings(`${least}requirements:\n  cpus: 1\n  Memory: 2\nrollout: {maxSurge: 1}\n`), [
    [
      `7:3 requirements.cpus: ${meant('requirements.cpu')}`,
      `8:3 requirements.Memory: ${meant('requirements.memory')}`,
      `9:11 rollout.maxSurge: ${meant('rollout.max_surge')}`
    ]
  ])
  for (const other of ['mode', 'sort', 'lode', 'toString', 'valueOf', 'gpu', 'services', 'service_id', 'app_id']) {
    t.same(warnings(`${least}${other}: x\n`), [[]], other)
  }
  t.same(
    warnings(`${least}environment: {ports: 1, replica: 2}\n`),
    [[]],
    'what is passed on is the business of others'
  )
})

t.test('a value that was read as a number or as true, and would be written otherwise, is told', async t => {
  t.same(warnings(`${least}environment: {V: 1.10, X: True, Y: 0x10, R: [1.50], S: &a 2.50, T: *a}\nversion: 1.20\n`), [
    [
      `6:18 environment.V: ${readAs('the number 1.1', '1.10')}`,
      `6:27 environment.X: ${readAs('true', 'True')}`,
      `6:36 environment.Y: ${readAs('the number 16', '0x10')}`,
      `6:46 environment.R[0]: ${readAs('the number 1.5', '1.50')}`,
      `6:59 environment.S: ${readAs('the number 2.5', '2.50')}`,
      `7:10 version: ${readAs('the number 1.2', '1.20')}`
    ]
  ])
  const json =
    '{"app_name":"demo","app_ns":"d","service_name":"s","service_ns":"t","image":"n","environment":{"V":1.10}}'
  t.same(warnings(json), [[`1:100 environment.V: ${readAs('the number 1.1', '1.10')}`]])
})

t.test('a no-break space in the indentation is named, also where it makes the file wrong', async t => {
  t.same(warnings(`${least}requirements:\n${NBSP}${NBSP}cpu: 1\n`), [
    [
      `7:1 ["${NBSP}${NBSP}cpu"]: the name of the field has a no-break space (U+00A0): ` +
        'indent and separate with ordinary spaces'
    ]
  ])
  t.match(warnings(`${least}note:\n  \u3000a: 1\n`), [[/an ideographic space \(U\+3000\)/]])
  t.match(warnings(`${least}environment: {"FOO${NBSP}": x}\n`), [[/^6:15 environment.*a no-break space/]])
  t.same(warnings(`${least}labels: {"Größe${NBSP}XL": 3}\n`), [[]], 'it may be part of a name that is not ours')
  t.match(warnings(`${least}replicas\u2009: 1\n`), [[/a space of another kind \(U\+2009\)/]])

  const missing = refusal(least.replace('image', `${NBSP}image`))
  t.match(missing, {
    code: 'descriptor_invalid',
    message: /^Line 5, column 1: .*a no-break space \(U\+00A0\).* \(and 1 more\)$/
  })
  for (const inner of [` ${NBSP}cpu: 1\n  memory: 100`, `  cpu: 1\n ${NBSP}memory: 100`, `  cpu: 1\n${NBSP} - x`]) {
    const refused = refusal(`${least}requirements:\n${inner}\n`)
    t.equal(refused.code, 'descriptor_unreadable')
    t.match(
      refused.message,
      /^Line \d, column 1: the line is indented with a no-break space \(U\+00A0\) \(and \d more\)$/
    )
    t.equal(refused.hint, 'Indent with ordinary spaces.')
  }
  const other = refusal(`${least}a: [\nnote: |\n ${NBSP}text\n`)
  t.notMatch(other.message, /indented with/, 'what comes before it is not its fault')
})

t.test('of several services each has its own warnings, and an inherited field is told once', async t => {
  const file = `app_name: demo
app_ns: default
service_ns: test
image: nginx
replica: 2
microservices:
- service_name: a
  env: {A: x}
- service_name: b
- service_name: c
  environment: {B: 1.10}
`
  t.same(warnings(file), [
    [`5:1 replica: ${meant('replicas')}`, `8:3 microservices[0].env: ${meant('environment')}`],
    [],
    [`11:20 microservices[2].environment.B: ${readAs('the number 1.1', '1.10')}`]
  ])
})

t.test(
  'a value that is quoted is cut, and what stands in one place is told once, in the order of the text',
  async t => {
    const [told = []] = warnings(`${least}environment:\n  A: 1.${'0'.repeat(1_000_000)}\n`)
    t.ok(told.length === 1 && told[0]!.length < 200)
    const aliases = Array.from({ length: 60 }, (_, index) => `k${index}: *a\n`).join('')
    t.match(warnings(`${least}a: &a [1.10]\n${aliases}env: {}\n`), [[/^6:8 a\[0\]/, /^67:1 env: /]])
    t.match(
      warnings(
        'app_name: d\nmicroservices:\n- {service_name: a, replica: 1}\napp_ns: d\nservice_ns: t\nimage: x\nenv: {}\n'
      ),
      [[/^3:21 /, /^7:1 /]]
    )
  }
)

t.test('there are at most 50 warnings for a file', async t => {
  const fields = Array.from({ length: 60 }, (_, index) => `V${index}: 1.10`)
  t.equal(warnings(`${least}environment: {${fields.join(', ')}}\n`).flat().length, 50)
})

t.test('a file of another tool is called what it is, before anything else', async t => {
  const files: Array<[string, string, string]> = [
    [
      'version: "3"\nservices:\n  web:\n    image: nginx\n    ports: ["80:80"]\n',
      'Line 2, column 1',
      'a Docker Compose file'
    ],
    ['services: &a\n  web: {image: x, <<: *a}\n', 'Line 1, column 1', 'a Docker Compose file'],
    ['{"sla_version":"v2.0","applications":[{"microservices":[]}]}', 'Line 1, column 2', 'an Oakestra SLA'],
    ['applications:\n- application_name: a\n  microservices: []\n', 'Line 1, column 1', 'an Oakestra SLA'],
    [
      'apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n',
      'Document 1, line 1, column 1',
      'a Kubernetes manifest'
    ],
    ['apiVersion: v1\nkind: !custom Service\n', 'Line 1, column 1', 'a Kubernetes manifest']
  ]
  for (const [text, where, what] of files) {
    const refused = refusal(text)
    t.ok(refused.message.startsWith(`${where}: this is ${what}, not a deployment descriptor`), refused.message)
    t.match(refused.hint, 'docs/descriptor.md')
    t.match(refused.violations?.[0], { field: '', message: `this is ${what}, not a deployment descriptor` })
  }
  for (const text of [
    'services: []\nmicroservices:\n- {port: -4}\n',
    'api_version: v0.1\nservices: {}\n',
    '"app_name": x\nservices: 1\na: *b\n',
    '{app_name: x,\nservices: 1, a: *b}\n'
  ]) { t.notMatch(refusal(text).message, 'not a deployment descriptor', text) }
  t.match(refusal('app_name: a\nservices: {a: b}\n').message, 'app_ns: expected', 'a descriptor that is not complete')
  t.equal(readServices(`${least}services: {a: b}\napiVersion: v1\nkind: x\n`).length, 1, 'one that is')
})
