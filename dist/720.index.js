export const id = 720;
export const ids = [720];
export const modules = {

/***/ 5720:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   authority: () => (/* reexport safe */ _chunk_7MJCYOFP_js__WEBPACK_IMPORTED_MODULE_1__.pa),
/* harmony export */   rootSum: () => (/* reexport safe */ _chunk_7MJCYOFP_js__WEBPACK_IMPORTED_MODULE_1__.qa),
/* harmony export */   sameRoot: () => (/* reexport safe */ _chunk_7MJCYOFP_js__WEBPACK_IMPORTED_MODULE_1__.ra),
/* harmony export */   trustChecks: () => (/* reexport safe */ _chunk_7MJCYOFP_js__WEBPACK_IMPORTED_MODULE_1__.oa)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_7MJCYOFP_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(7740);
/* harmony import */ var _chunk_UUW7OTEK_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(4490);
/* harmony import */ var _chunk_OEACJZ3K_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(6723);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(9377);
/* harmony import */ var _chunk_GJGRKNM5_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(4118);
/* harmony import */ var _chunk_OZJG4VPO_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(2564);
/* harmony import */ var _chunk_BGURZ2B4_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(5547);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_8__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_9__ = __webpack_require__(9473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);



/***/ })

};
