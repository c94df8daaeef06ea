import t from 'tap'
import { ROOMY } from '../support/raw-cluster.js'
import { as, asJson, checkRows, json, startScene, text, type Row } from './rows.js'

const UNKNOWN = 'ffffffffffffffffffffffff'
const unknown = text(`cluster_not_found: No cluster has the id ${UNKNOWN}\n  hint: Register first: the id is in sc2\n`, 404)
const malformed = text('cluster_id_malformed: "42" is not a cluster id\n  hint: A cluster id has 24 hexadecimal digits; GET /api/v1/clusters lists them\n', 400)

const ok = text('ok')
const heartbeats: Row[] = [
  ['POST /api/information/<cluster>', ok, asJson(ROOMY)],
  ['POST /api/information/<cluster>', ok, asJson({})],
  [
    'POST /api/information/<cluster>',
    ok,
    asJson({
      cpu_percent: null,
      memory_percent: null,
      cpu_cores: null,
      cumulative_memory_in_mb: null,
      number_of_nodes: null,
      jobs: null,
      technology: null,
      more: null
    })
  ],
  [
    'POST /api/information/<cluster>',
    ok,
    as('application/json', '{"jobs":[{"system_job_id":"<job>","status":"RUNNING"},{"system_job_id":7},null]}')
  ],
  ['GET /api/job/status/<job>', text('RUNNING\n')],
  [`POST /api/information/${UNKNOWN}`, unknown, asJson(ROOMY)],
  ['POST /api/information/42', malformed, asJson(ROOMY)],
  [
    'POST /api/information/<cluster>',
    text(
      'bad_request: The body is not valid\n  cpu_cores: expected a number of at least 0 or null, got the number -1\n',
      400
    ),
    asJson({ cpu_cores: -1 })
  ],
  [
    'POST /api/information/<cluster>',
    text('json_invalid: The body is not valid JSON: …', 400),
    as('application/json', '{"cpu_cores":NaN}')
  ]
]

const results: Row[] = [
  ['POST /api/result/cluster_deploy', text('roger that'), as('application/json', '{"job_id":"<job>","instances":[{"instance_number":0,"namespace_ip":"10.18.0.3","host_ip":"192.168.178.41","host_port":"50104"}]}')],
  ['POST /api/result/cluster_deploy', text('roger that'), as('application/json', '{"job_id":"<job>","instances":[{"instance_number":0,"namespace_ip":"10.18.0.2","host_ip":"192.168.178.40","host_port":50103}]}')],
  ['POST /api/result/cluster_deploy', text(`job_not_found: No job has the id ${UNKNOWN}\n`, 404), asJson({ job_id: UNKNOWN, instances: [] })]
]

const instances =
  '{"instance_list":[{"instance_number":0,"instance_ip":"172.30.0.2","cluster_id":"<cluster>",' +
  '"namespace_ip":"10.18.0.2","host_ip":"192.168.178.40","host_port":50103…}],' +
  '"service_ip_list":[{"IpType":"RR","Address":"172.30.0.1"}],"job_name":"demo.default.service1.test"}'
const none = (name: string) => json(`{"instance_list":[],"service_ip_list":[],"job_name":"${name}"}`)

const lookUps: Row[] = [
  ['GET /api/job/demo_default_service1_test/instances', json(instances)],
  ['GET /api/job/demo.default.service1.test/instances', json(instances)],
  ['GET /api/job/no_such_job_here/instances', none('no_such_job_here')],
  ['GET /api/job/ip/172_30_0_1/instances', json(instances)],
  ['GET /api/job/ip/172_30_0_2/instances', json(instances)],
  ['GET /api/job/ip/172.30.0.2/instances', json(instances)],
  ['GET /api/job/ip/172_30_9_9/instances', none('')],
  ['GET /api/job/ip/172_30_0_256/instances', text('address_malformed: "172_30_0_256" is not an IPv4 address\n  hint: Write it as 172.30.0.1 or 172_30_0_1\n', 400)],
  ['GET /api/net/subnet', json('{"subnet_addr":"172.18.0.0"}')],
  ['GET /api/net/subnet', json('{"subnet_addr":"172.18.0.64"}')],
  ['GET /api/net/subnet', json('{"subnet_addr":"172.18.0.128"}')]
]

const nodes = (count: number): Row => ['GET /api/clusters', json(`[…"nodes":${count},…]`)]
const workers: Row[] = [
  ['GET /api/cluster/<cluster>/incr_node', ok],
  nodes(1),
  ['GET /api/cluster/<cluster>/decr_node', ok],
  ['GET /api/cluster/<cluster>/decr_node', ok],
  nodes(0),
  ['GET /api/cluster/<cluster>/nodes/3', ok],
  nodes(3),
  [`GET /api/cluster/${UNKNOWN}/incr_node`, unknown],
  ['GET /api/cluster/42/decr_node', malformed],
  ['GET /api/feedback', ok]
]

t.test('what clusters send, and what they get, byte for byte (section 2)', async t => {
  const scene = await startScene(t)
  await t.test('heartbeats', t => checkRows(t, scene, heartbeats))
  await t.test('results', t => checkRows(t, scene, results))
  await t.test('look-ups', t => checkRows(t, scene, lookUps))
  await t.test('workers', t => checkRows(t, scene, workers))
})
