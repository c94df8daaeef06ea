import type { Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import { NEWEST_VERSION } from '../../../schemas/job-versions.js'
import type { Open } from './opened.js'
import { aJob, saved } from './samples.js'

const CLUSTER = '65a1b2c3d4e5f60718293a00'
const FORMER = '65a1b2c3d4e5f60718293a01'
const SINCE = '2026-01-31T12:00:09.000Z'

/** What all shapes have. */
const common = {
  job_name: 'demo.default.service1.test',
  descriptor: { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: 'service1', service_ns: 'test', image: 'nginx', image_runtime: 'docker' },
  desired_state: 'running',
  replicas: 1,
  status: 'RUNNING',
  status_reason: null,
  service_ip_list: [{ IpType: 'RR', Address: '172.30.0.1' }],
  explanation: null,
  generation: 3,
  revision: 1,
  created_at: '2026-01-31T12:00:00.000Z',
  updated_at: SINCE
} as const

const instance = {
  instance_number: 0,
  instance_ip: '172.30.0.2',
  cluster_id: CLUSTER,
  namespace_ip: '10.18.0.2',
  host_ip: '192.168.178.40',
  host_port: '50103',
  status: 'RUNNING',
  status_reason: null,
  status_since: SINCE,
  awaits: 'command-1',
  refusals: [{ cluster_id: FORMER, at: SINCE, error: 'no room' }]
} as const

const retiring = [{ command_id: 'x', cluster_id: FORMER, instances: [{ instance_number: 1, instance_ip: '172.30.0.3' }], error: 'not now' }]
/** What the clusters of a host port in digits said was not kept, nor which of them are original ones. */
const today = {
  host_port: 50103,
  original: false,
  told: 'RUNNING',
  told_apart: false,
  offered: null
} as const
/** Of what clusters are to remove it is not known since when. */
const heldSince = { since: common.updated_at, released: false }
const removals = [{ cluster_id: FORMER, at: SINCE, told: 'FAILED' }]
const rollout = { from_generation: 2, started_at: SINCE, deadline_at: SINCE, rollback: false }
const revisions = [{ generation: 2, descriptor: common.descriptor, replaced_at: SINCE, cause: 'user' }]
const move = { from: FORMER, why: 'drain', since: SINCE } as const

/** Every shape that a job was stored in, and what is read of it. The first five carried no version. */
const shapes: Array<{ name: string, stored: object, read: object }> = [
  {
    name: 'without generations, rollouts, revisions, deadlines and fences',
    stored: { ...common, instance_list: [instance], retiring },
    read: {
      ...common,
      instance_list: [{ ...instance, generation: 3, move: null, location: null, attempts: 0, silent: false, given_up: false }],
      retiring,
      rollout: null,
      revisions: [],
      due_at: null,
      fence: 0
    }
  },
  {
    name: 'with the cluster that an instance moves from, and a worker node',
    stored: {
      ...common,
      instance_list: [
        { ...instance, generation: 2, moving_from: FORMER, location: 'hpi', node: 'pi-1', attempts: 2 },
        { ...instance, instance_number: 1, generation: 3, moving_from: null, location: null, node: null, attempts: 0 }
      ],
      retiring,
      rollout,
      revisions,
      due_at: SINCE,
      fence: 7
    },
    read: {
      ...common,
      instance_list: [
        { ...instance, generation: 2, move: { from: FORMER, why: 'asked', since: SINCE }, location: 'hpi', attempts: 2, silent: false, given_up: false },
        { ...instance, instance_number: 1, generation: 3, move: null, location: null, attempts: 0, silent: false, given_up: false }
      ],
      retiring,
      rollout: { ...rollout, max_unavailable: 1, max_surge: 0, auto_rollback: true },
      revisions,
      due_at: SINCE,
      fence: 7
    }
  },
  {
    name: 'with moves that have a cause, and a worker node',
    stored: {
      ...common,
      instance_list: [{ ...instance, generation: 2, move, location: '', node: '', attempts: 1, silent: true }],
      retiring,
      rollout,
      revisions,
      due_at: null,
      fence: 7
    },
    read: {
      ...common,
      instance_list: [{ ...instance, generation: 2, move, location: '', attempts: 1, silent: true, given_up: false }],
      retiring,
      rollout: { ...rollout, max_unavailable: 1, max_surge: 0, auto_rollback: true },
      revisions,
      due_at: null,
      fence: 7
    }
  },
  {
    name: 'with rollouts without a surge',
    stored: {
      ...common,
      instance_list: [{ ...instance, generation: 2, move, location: null, attempts: 1, silent: true }],
      retiring,
      rollout: { ...rollout, max_unavailable: 4, auto_rollback: false },
      revisions,
      due_at: null,
      fence: 7
    },
    read: {
      ...common,
      instance_list: [{ ...instance, generation: 2, move, location: null, attempts: 1, silent: true, given_up: false }],
      retiring,
      rollout: { ...rollout, max_unavailable: 4, auto_rollback: false, max_surge: 0 },
      revisions,
      due_at: null,
      fence: 7
    }
  },
  ...[{}, { document_version: 5 }, { document_version: 6, given_up: true }].map(({ document_version: version, given_up: givenUp }) => {
    const known = { ...instance, generation: 2, move, location: null, attempts: 1, silent: true }
    const job = {
      ...common,
      retiring: [{ ...retiring[0]!, refused_at: SINCE }],
      rollout: { ...rollout, max_unavailable: 4, max_surge: 2, auto_rollback: false },
      revisions,
      due_at: SINCE,
      fence: 7
    }
    return {
      name: `with everything, of version ${version ?? '1'}`,
      stored: {
        ...version && { document_version: version },
        ...job,
        instance_list: [{ ...known, ...givenUp && { given_up: givenUp } }]
      },
      read: { ...job, instance_list: [{ ...known, given_up: givenUp ?? false }] }
    }
  })
]

/** The shape of version 8: nothing is to be added. */
const newest = {
  name: 'with the words of clusters, of version 8',
  stored: {
    document_version: 8,
    ...common,
    instance_list: [
      {
        ...instance,
        host_port: null,
        original: true,
        told: 'DEPLOYED',
        generation: 2,
        move,
        location: null,
        attempts: 1,
        silent: true,
        given_up: false,
        told_apart: true,
        offered: { cpu: 4, memory: null, nodes: 2 }
      }
    ],
    retiring: [{ ...retiring[0]!, original: true, told: 'CREATED', since: SINCE, released: true }],
    repeats: [{ key: 'abc', count: 3, since: SINCE }],
    removals,
    rollout: null,
    revisions,
    due_at: SINCE,
    fence: 7
  }
}

/** The shape of version 7: before clusters spoke of each instance, and removals had a beginning. */
function version7 ({ repeats: _, ...read }: Omit<typeof newest.stored, 'document_version'>) {
  const { told_apart: _apart, offered: _offered, ...instance } = read.instance_list[0]!
  const { since: _since, released: _released, ...leaving } = read.retiring[0]!
  return {
    name: 'of version 7',
    stored: { document_version: 7, ...read, instance_list: [instance], retiring: [leaving] },
    read: {
      ...read,
      instance_list: [{ ...instance, told_apart: false, offered: null }],
      retiring: [{ ...leaving, ...heldSince }],
      repeats: []
    }
  }
}

interface EarlierShape { instance_list: object[], retiring: object[] }

/** Promises about documents of earlier versions of the System Manager. */
export function versionContract (t: Test, open: Open): void {
  t.test('a job that an earlier version stored is read in the shape of today', async t => {
    const { tampered, store } = await open(t)
    const { document_version: _, ...newestRead } = newest.stored
    const all = [
      ...shapes.map(shape => {
        const { instance_list: list, retiring } = shape.read as EarlierShape
        const read = {
          ...shape.read,
          instance_list: list.map(entry => ({ ...entry, ...today })),
          retiring: retiring.map(entry => ({ ...entry, original: false, told: null, ...heldSince })),
          removals: [],
          repeats: []
        }
        return { ...shape, read }
      }),
      version7(newestRead),
      { ...newest, read: newestRead },
      {
        name: 'with old descriptors apart, of version 9',
        stored: { ...newest.stored, document_version: 9, revisions: [{ ...revisions[0]!, descriptor: null }] },
        read: { ...newestRead, revisions: [{ ...revisions[0]!, descriptor: null }] }
      }
    ]
    const jobs = await Promise.all(all.map(() => saved(store, aJob({ due_at: SINCE }))))
    const expected = all.map(({ read }, index) => ({ ...read, id: jobs[index]!.id }) as unknown as Job)
    const again = await tampered(
      all.map(({ stored }, index) => ({
        job: jobs[index]!.id,
        text: JSON.stringify({ ...stored, id: jobs[index]!.id })
      }))
    )
    for (const [index, { name }] of all.entries()) {
      t.strictSame(await again.jobs.get(jobs[index]!.id), expected[index], name)
    }
    const inOrder = expected.toSorted((a, b) => a.id < b.id ? -1 : 1)
    t.strictSame(await again.jobs.list({}), inOrder)
    t.strictSame(await again.jobs.due({ before: SINCE, limit: 20 }), inOrder)
    t.strictSame(await again.jobs.unplaced({ limit: 20 }), inOrder)
    t.equal(NEWEST_VERSION, 9, 'a new version needs a shape here')
  })

  t.test('a job that an earlier version stored is changed like any other', async t => {
    const { tampered, store } = await open(t)
    const { id, ...fresh } = await saved(store, aJob())
    const { due_at, fence, rollout, revisions, ...old } = fresh
    const again = await tampered([{ job: id, text: JSON.stringify({ id, ...old }) }])
    const read = (await again.jobs.get(id))!
    t.strictSame(read, { id, ...fresh })
    const changed = await saved(again, { ...read, status: 'FAILED', fence: 4 })
    t.strictSame(await again.jobs.get(id), changed)
  })
}
