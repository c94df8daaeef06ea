import { Type, type Static } from '@sinclair/typebox'
import { OneOf } from './primitives.js'

/** The answer of GET /readyz: whether this server can do its work, check by check. */
export const Readiness = Type.Object({
  status: OneOf(['ready', 'not_ready'], { description: 'ready if every check is ok' }),
  checks: Type.Array(Type.Object({
    name: Type.String({ description: 'store, loops, data_folder, leadership' }),
    ok: Type.Boolean(),
    detail: Type.String({ description: 'One sentence for a human' })
  }))
}, {
  $id: 'Readiness',
  examples: [{
    status: 'ready',
    checks: [
      { name: 'store', ok: true, detail: 'the database answers' },
      { name: 'loops', ok: true, detail: '8 loops run' },
      { name: 'data_folder', ok: true, detail: './data is writable, 53687 MB free' },
      { name: 'leadership', ok: true, detail: 'leads: reconciler, http-push' }
    ]
  }]
})
export type Readiness = Static<typeof Readiness>
