// What nanoemo calls of cuBLAS, on the host. Every call is handed to the stand-in's queue, which runs it at once or, where
// a stream is being captured, at each launch of the graph. Products are three plain loops: the address sanitizer sees a
// leading dimension or a size that is wrong.

#include <cstddef>

struct Product {
    bool is_double;
    int transpose_a, transpose_b, m, n, k;
    double alpha, beta;
    const void *a, *b;
    void* c;
    int lda, ldb, ldc;
    long long stride_a, stride_b, stride_c;
    int batch;
};

static void (*queue)(Product*);
static bool has_workspace;

template <typename T> static void multiply(const Product& p) {
    for (int batch = 0; batch < p.batch; batch++) {
        const T* a = static_cast<const T*>(p.a) + batch * p.stride_a;
        const T* b = static_cast<const T*>(p.b) + batch * p.stride_b;
        T* c = static_cast<T*>(p.c) + batch * p.stride_c;
        for (int j = 0; j < p.n; j++) {
            for (int i = 0; i < p.m; i++) {
                T sum = 0;
                for (int l = 0; l < p.k; l++)
                    sum += a[p.transpose_a ? l + i * p.lda : i + l * p.lda] * b[p.transpose_b ? j + l * p.ldb : l + j * p.ldb];
                T& out = c[i + j * p.ldc];
                out = T(p.alpha) * sum + (p.beta != 0 ? T(p.beta) * out : T(0));
            }
        }
    }
}

static int submit(Product p) {
    if (!has_workspace) return 1;
    int rows_a = p.transpose_a ? p.k : p.m, rows_b = p.transpose_b ? p.n : p.k;
    if (p.m < 0 || p.n < 0 || p.k < 0 || p.lda < rows_a || p.ldb < rows_b || p.ldc < p.m) return 7;
    queue(new Product(p));          // kept for as long as the process runs: a graph may launch it again
    return 0;
}

extern "C" {
void set_queue(void (*function)(Product*)) { queue = function; }
void run_product(Product* p) { p->is_double ? multiply<double>(*p) : multiply<float>(*p); }

int cublasCreate_v2(void** handle) { *handle = &queue; return 0; }
int cublasSetStream_v2(void*, void*) { has_workspace = false; return 0; }
int cublasSetWorkspace_v2(void*, void*, size_t) { has_workspace = true; return 0; }
int cublasSetMathMode(void*, int) { return 0; }

int cublasSgemm_v2(void*, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda, const float* b,
                   int ldb, const float* beta, float* c, int ldc) {
    return submit({false, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, 0, 0, 0, 1});
}
int cublasDgemm_v2(void*, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                   const double* b, int ldb, const double* beta, double* c, int ldc) {
    return submit({true, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, 0, 0, 0, 1});
}
int cublasSgemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda,
                              long long sa, const float* b, int ldb, long long sb, const float* beta, float* c, int ldc,
                              long long sc, int batch) {
    return submit({false, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, sa, sb, sc, batch});
}
int cublasDgemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                              long long sa, const double* b, int ldb, long long sb, const double* beta, double* c, int ldc,
                              long long sc, int batch) {
    return submit({true, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, sa, sb, sc, batch});
}
}
