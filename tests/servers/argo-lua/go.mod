// The Lua interpreter of Argo CD; pinned by go.sum.
module cassgate.test/argo-lua

go 1.25.0

require github.com/yuin/gopher-lua v1.1.1
