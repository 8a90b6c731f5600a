import { defineConfig } from 'vitest/config'

// The tests in a real browser. They need a built dist, and chromium.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.test.mjs'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
